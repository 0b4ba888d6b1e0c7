"""Fixtures for all rooms: a cache of their own, tiny networks made with onnx.helper, bundles of them."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest

from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.console.printable import printable
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.class_map import ClassMap
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.results import Label

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:  # a runtime installed alone has no onnx: only the tests with tiny networks need it
    onnx = None

HEIGHT, WIDTH = 32, 48
QUERY_CLASSES = np.array([[[9, 0, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9]]], np.float32)
LABELS = (
    Label("red", 10, False, (255, 0, 0)),
    Label("green", 20, True, (0, 255, 0)),
    Label("blue", 30, True, (0, 0, 255)),
)

# A shell's background jobs ignore Ctrl-C, and so would the processes that are interrupted here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that none is begun when another worker has nothing left to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Keep what was imported out of the garbage collector's sight: it is a million objects, looked at each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep segrt's cache out of the user's home."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SEGRT_CACHE", str(folder))
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Look that a test which is marked to print a command's table has printed one, and so has had it checked."""
    outcome = yield
    for marker in pyfuncitem.iter_markers("prints_table"):
        (command,) = marker.args
        assert command in pyfuncitem.funcargs["whole_tables"], f"no table of `segrt {command}` was printed"
    return outcome


@pytest.fixture(autouse=True)
def whole_tables(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Look that no table that a test prints loses a letter at 60, 80 and 120 columns; return the commands that did."""
    from segrt.runtime.console import tables

    commands, really = set(), tables.print_on

    def checked(console: Any, title: str, columns: list[str], rows: list[list[str]]) -> None:
        really(console, title, columns, rows)
        context = click.get_current_context(silent=True)
        if context is not None:
            commands.add(str(context.command.name))
        for width in (60, 80, 120):
            narrow = type(console)(file=StringIO(), width=width, highlight=False)
            really(narrow, title, columns, rows)
            wanted = Counter(
                letter for row in rows for cell in row for letter in printable(cell) if not letter.isspace()
            )
            shown = Counter(narrow.file.getvalue())
            assert not wanted - shown, f"{title} loses {wanted - shown} at {width} columns"

    monkeypatch.setattr(tables, "print_on", checked)
    return commands


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The shared fixtures' folder; skips where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
    if not folder.is_dir():
        pytest.skip(f"the shared fixtures are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what git knows, so that no stale build folder is shipped.

    Where `SEGRT_OBJECTS` keeps object files in this tree, those as new as their sources are linked, not made again.
    """
    root, folder = Path(__file__).resolve().parents[1], tmp_path_factory.mktemp("source")
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    kept = os.environ.get("SEGRT_OBJECTS", "")
    if kept and not Path(kept).is_absolute() and (root / kept).is_dir():
        shutil.copytree(root / kept, folder / kept)
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = out.glob("*.whl")
    return built


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> Any:
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _entry() -> tuple[list[Any], list[Any]]:
    """The uint8 NHWC input, cast, transposed and averaged over 4x4 pixels: `means` (1, 3, 8, 12), 0 to 255."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["means"], kernel_shape=[4, 4], strides=[4, 4]),
    ]
    return nodes, [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])]


def semantic_model() -> Any:
    """Logits are the mean red, green and blue: the brightest channel is the class."""
    nodes, inputs = _entry()
    nodes[-1].output[0] = "logits"
    return _model(nodes, inputs, [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 8, 12])], {})


def binary_model() -> Any:
    """One logit, above 0 where the mean green is bright."""
    nodes, inputs = _entry()
    nodes.append(helper.make_node("Conv", ["means", "kernel", "bias"], ["score"]))
    kernel = np.array([0, 1, 0], np.float32).reshape(1, 3, 1, 1) / 8
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1, 8, 12])]
    return _model(nodes, inputs, outputs, {"kernel": kernel, "bias": np.array([-16], np.float32)})


def class_map_model() -> Any:
    """The class map of `semantic_model`, int64 (1, 8, 12)."""
    nodes, inputs = _entry()
    nodes.append(helper.make_node("ArgMax", ["means"], ["classes"], axis=1, keepdims=0))
    return _model(nodes, inputs, [helper.make_tensor_value_info("classes", TensorProto.INT64, [1, 8, 12])], {})


def query_model(order: tuple[int, ...] = (0, 1, 2, 3), dead: float = -20.0) -> Any:
    """Query i sees channel i and is of class i; query 3 is dead, with mask logits `dead`. `order` permutes them."""
    nodes, inputs = _entry()
    kernel = np.concatenate([np.eye(3), np.zeros((1, 3))]).astype(np.float32)[list(order), :, None, None] / 8
    bias = np.array([-16, -16, -16, dead], np.float32)[list(order)]
    nodes.append(helper.make_node("Conv", ["means", "kernel", "bias"], ["masks"]))
    nodes.append(helper.make_node("Identity", ["rows"], ["classes"]))
    outputs = [
        helper.make_tensor_value_info("classes", TensorProto.FLOAT, [1, 4, 4]),
        helper.make_tensor_value_info("masks", TensorProto.FLOAT, [1, 4, 8, 12]),
    ]
    constants = {"kernel": kernel, "bias": bias, "rows": QUERY_CLASSES[:, list(order)]}
    return _model(nodes, inputs, outputs, constants)


def box_model() -> Any:
    """Two fixed objects whatever the picture, the second below every sensible threshold."""
    _, inputs = _entry()
    constants = {
        "b": np.array([[[4, 8, 20, 24], [0, 0, 4, 4]]], np.float32),
        "s": np.array([[0.9, 0.1]], np.float32),
        "c": np.array([[2, 1]], np.int64),
        "m": np.ones((1, 2, 7, 7), np.float32),
    }
    names = {"b": "boxes", "s": "scores", "c": "labels", "m": "masks"}
    outputs = [
        helper.make_tensor_value_info(names[key], helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for key, value in constants.items()
    ]
    return _model([helper.make_node("Identity", [k], [v]) for k, v in names.items()], inputs, outputs, constants)


QUERY_HEADS = (
    HeadSpec("classes", "class_logits", "float32", (1, 4, 4)),
    HeadSpec("masks", "mask_logits", "float32", (1, 4, 8, 12)),
)
_KINDS: dict[str, tuple[Callable[[], Any], str, tuple[HeadSpec, ...], Any]] = {
    "argmax": (
        semantic_model,
        "semantic",
        (HeadSpec("logits", "semantic_logits", "float32", (1, 3, 8, 12)),),
        Argmax(),
    ),
    "binary": (
        binary_model,
        "semantic",
        (HeadSpec("score", "object_scores", "float32", (1, 1, 8, 12)),),
        Binary(),
    ),
    "class_map": (
        class_map_model,
        "semantic",
        (HeadSpec("classes", "class_map", "int64", (1, 8, 12)),),
        ClassMap(),
    ),
    "query_semantic": (query_model, "semantic", QUERY_HEADS, QuerySemantic()),
    "query_instances": (query_model, "instance", QUERY_HEADS, QueryInstances()),
    "merge_queries": (query_model, "panoptic", QUERY_HEADS, MergeQueries()),
    "paste_masks": (
        box_model,
        "instance",
        (
            HeadSpec("boxes", "boxes", "float32", (1, 2, 4)),
            HeadSpec("scores", "scores", "float32", (1, 2)),
            HeadSpec("labels", "class_ids", "int64", (1, 2)),
            HeadSpec("masks", "masks", "float32", (1, 2, 7, 7)),
        ),
        PasteMasks(),
    ),
}


def network(kind: str, resize: Resize | None = None) -> Network:
    """The description of a tiny network, one for each decode rule."""
    _, technique, heads, decode = _KINDS[kind]
    image = InputSpec("image", "uint8", (1, HEIGHT, WIDTH, 3), resize=resize or Resize())
    source = Source("none", "Apache-2.0")
    labels = LABELS[:2] if kind == "binary" else LABELS
    return Network(f"tiny-{kind}", technique, "tiny", source, (image,), heads, labels, decode)  # type: ignore[arg-type]


def thirds(height: int, width: int) -> np.ndarray:
    """A picture, uint8 BGR, whose thirds from left to right are red, green and blue."""
    image = np.zeros((height, width, 3), np.uint8)
    columns = np.arange(width) * 3 // width
    for third, channel in enumerate((2, 1, 0)):
        image[:, columns == third, channel] = 255
    return image


@pytest.fixture
def tiny(tmp_path: Path) -> SimpleNamespace:
    """Builders of tiny networks and bundles: `tiny.bundle("argmax")` → folder."""
    return _builders(tmp_path)


@pytest.fixture(scope="session")
def tiny_once(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The same, for fixtures that several tests share."""
    return _builders(tmp_path_factory.mktemp("tiny"))


def _builders(tmp_path: Path) -> SimpleNamespace:
    if onnx is None:
        pytest.skip("the tiny networks need onnx: pip install 'segrt[export]'")

    def save(model: Any, name: str = "model.onnx") -> Path:
        path = tmp_path / name
        onnx.save(model, str(path))
        return path

    def bundle(kind: str, *, out: str | None = None, resize: Resize | None = None, **options: Any) -> Path:
        described = options.pop("network", None) or network(kind, resize)
        model = options.pop("model", None) or _KINDS[kind][0]()
        golden = options.pop("golden", [GoldenPicture("thirds", thirds(24, 48))])
        file = save(model, f"{kind}.onnx")
        return write_bundle(
            tmp_path / (out or f"bundle-{kind}"), described, [VariantFile("fp32", file)], golden, threads=1, **options
        )

    def batched_semantic() -> Path:
        """A bundle of any batch, without golden frames."""
        model = semantic_model()
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "N"
        described = replace(
            network("argmax"),
            inputs=(InputSpec("image", "uint8", ("N", HEIGHT, WIDTH, 3)),),
            heads=(HeadSpec("logits", "semantic_logits", "float32", ("N", 3, 8, 12)),),
        )
        return bundle("argmax", out="batched", network=described, model=model, golden=[])

    return SimpleNamespace(
        bundle=bundle,
        batched_semantic=batched_semantic,
        save=save,
        network=network,
        thirds=thirds,
        labels=LABELS,
        kinds=tuple(_KINDS),
        size=(HEIGHT, WIDTH),
        semantic_model=semantic_model,
        class_map_model=class_map_model,
        binary_model=binary_model,
        query_model=query_model,
        box_model=box_model,
        build=_model,
    )
