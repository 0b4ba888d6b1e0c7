"""Tiny networks, one for each decode rule, made with onnx.helper, and bundles of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.runtime.bundle.manifest import Source
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
KINDS: dict[str, tuple[Callable[[], Any], str, tuple[HeadSpec, ...], Any]] = {
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
    _, technique, heads, decode = KINDS[kind]
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


def builders(tmp_path: Path) -> SimpleNamespace:
    if onnx is None:
        pytest.skip("the tiny networks need onnx: pip install 'segrt[export]'")

    def save(model: Any, name: str = "model.onnx") -> Path:
        path = tmp_path / name
        onnx.save(model, str(path))
        return path

    def bundle(kind: str, *, out: str | None = None, resize: Resize | None = None, **options: Any) -> Path:
        described = options.pop("network", None) or network(kind, resize)
        model = options.pop("model", None) or KINDS[kind][0]()
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
        kinds=tuple(KINDS),
        size=(HEIGHT, WIDTH),
        semantic_model=semantic_model,
        class_map_model=class_map_model,
        binary_model=binary_model,
        query_model=query_model,
        box_model=box_model,
        build=_model,
    )
