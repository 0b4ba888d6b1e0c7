"""`segrt export` from end to end, with a family of three convolutions in place of a real one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from segrt.export.convert import exporting, memory, parity  # noqa: E402
from segrt.export.convert.exporting import ExportOptions, export_model  # noqa: E402
from segrt.export.family import (  # noqa: E402
    Exportable,
    Model,
    Request,
    Weights,
)
from segrt.export.graph.tracing import ByteInput, Traced, trace  # noqa: E402
from segrt.export.synthetic_pictures import synthetic_picture  # noqa: E402
from segrt.export.weights import network_weights, random_weights  # noqa: E402
from segrt.runtime import open_bundle  # noqa: E402
from segrt.runtime.authoring.verification import verify  # noqa: E402
from segrt.runtime.bundle.golden import read_golden  # noqa: E402
from segrt.runtime.bundle.locating import read_bundle  # noqa: E402
from segrt.runtime.cli import cli  # noqa: E402
from segrt.runtime.decode.argmax import Argmax  # noqa: E402
from segrt.runtime.decode.head_spec import HeadSpec  # noqa: E402
from segrt.runtime.errors import CheckFailed, SegrtError  # noqa: E402
from segrt.runtime.files.images import write_image  # noqa: E402
from segrt.runtime.inference.layers.module_names import read_nodes  # noqa: E402
from segrt.runtime.inference.onnxruntime import run_file  # noqa: E402
from segrt.runtime.preprocess.input_spec import Resize  # noqa: E402
from segrt.runtime.preprocess.picture import resize_picture  # noqa: E402
from segrt.runtime.results import Label, SemanticResult  # noqa: E402

SIZE = (64, 96)
TINY = Model("tiny", "semantic", "tiny", SIZE, "voc", multiple=32, parameters=1000)
CLASSES = tuple(Label(f"class {index}", index, False, (index, 0, 0)) for index in range(5))
RESIZE = Resize(rule="letterbox", antialias=True, pad=(124, 116, 104))
STRETCH = Resize(antialias=True)


class Tiny(torch.nn.Module):
    """Three convolutions; blind to the padding where it is given a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.BatchNorm2d(8))
        self.body = torch.nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.head = torch.nn.Conv2d(8, 5, 1)

    def forward(self, pixels: Any, mask: Any = None) -> Any:
        """Return logits at a quarter of the size."""
        if mask is not None:
            pixels = pixels * mask[:, None]
        return self.head(torch.relu(self.body(torch.relu(self.stem(pixels)))))


def build(request: Request, **changes: Any) -> Exportable:
    """The family: every field as a real one would set it; `changes` spoil it."""
    with random_weights.seeded(request.weights.seed):
        network = Tiny().eval()
    found = network_weights.tensors(request)
    network_weights.load(network, found, network_weights.name_of(request))
    if found is None:
        pixels = random_weights.calibration_pixels(request.size)
        spreads = {network.head: random_weights.Spread(std=3.0)}
        random_weights.calibrate(network, lambda: network(pixels), spreads)

    def result(pixels: Any, mask: Any, geometry: Any) -> SemanticResult:
        logits = network(pixels, mask)
        top, left, bottom, right = (int(edge) for edge in geometry.window)
        inner = torch.nn.functional.interpolate(logits, request.size, mode="bilinear")[..., top:bottom, left:right]
        whole = torch.nn.functional.interpolate(inner, geometry.source_size, mode="bilinear")
        return SemanticResult(whole[0].argmax(0).numpy().astype(np.uint8), CLASSES)

    exportable = Exportable(
        core=network,
        heads=(("logits", "semantic_logits"),),
        labels=request.labels or CLASSES,
        decode=Argmax(),
        source=network_weights.source(request),
        resize=RESIZE,
        framework_result=result,
        limits=replace(Exportable.__dataclass_fields__["limits"].default, agreement=0.95),
    )
    return replace(exportable, **changes)


@pytest.fixture(autouse=True)
def family(add_model: Callable[..., None]) -> Callable[..., None]:
    """Registers the model "tiny"; call it with fields of `Exportable` to spoil it."""

    def install(**changes: Any) -> None:
        add_model(TINY, lambda request: build(request, **changes))

    install()
    return install


RANDOM = ExportOptions(Weights("random"), threads=1)


def tiny(**changes: Any) -> Exportable:
    return build(Request(TINY, SIZE, Weights("random")), **changes)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """The tiny network as ONNX, made once."""
    return trace(tiny(resize=STRETCH), SIZE, tmp_path_factory.mktemp("traced") / "tiny.onnx", "tiny")


def processor(mean: tuple[float, float, float]) -> Callable[[Any], Any]:
    """A framework's image processor for the tiny network."""

    def pixels(picture: Any) -> Any:
        small = resize_picture(picture, SIZE, STRETCH)[..., ::-1]
        return ((small / 255 - mean) / (0.229, 0.224, 0.225)).transpose(2, 0, 1).astype(np.float32)

    return pixels


def test_an_export_writes_a_bundle_that_verifies_and_says_how_it_compared(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["export", "tiny", "--out", str(tmp_path / "tiny"), "--weights", "random"])
    assert done.exit_code == 0, done.output
    assert "Against torch, over 3 pictures" in done.output
    bundle = read_bundle(tmp_path / "tiny")
    manifest = bundle.manifest
    stated = manifest.variants[0].parity
    assert stated is not None
    assert stated.images == 3
    assert stated.heads["logits"].max_abs < 1e-4
    assert stated.agreement > 0.95
    assert manifest.source.weights == "random, seed 0"
    with open_bundle(bundle.folder, threads=1) as segmenter:
        assert all(check.passed for check in verify(segmenter))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    shown = CliRunner().invoke(cli, ["inspect", str(bundle.folder)]).output
    assert f"{stated.agreement:.4%} over 3 images" in shown

    picture, golden = read_golden(bundle, manifest.golden[0])
    inner = resize_picture(picture, (64, 85), RESIZE)
    canvas = np.full((*SIZE, 3), RESIZE.pad, np.float32)
    canvas[:, 5:90] = inner[..., ::-1]
    exportable = tiny()
    pixels = torch.from_numpy((canvas / 255 - exportable.mean) / exportable.std).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        wanted = exportable.core(pixels)[0].numpy()
    np.testing.assert_allclose(golden.heads["semantic_logits"], wanted, atol=1e-4)


def test_a_family_from_outside_is_listed_and_exported(tmp_path: Path) -> None:
    listed = CliRunner().invoke(cli, ["models", "--technique", "semantic"]).output
    line = next(line for line in listed.splitlines() if line.startswith("    tiny "))
    assert line.split() == ["tiny", "64x96", "0.0", "0.0", "0.0", "voc"]
    assert listed.index("  tiny: code Apache-2.0; no published weights") < listed.index(line)
    entries = json.loads(CliRunner().invoke(cli, ["models", "--json"]).output)
    assert [entry["family"] for entry in entries if entry["name"] == "tiny"] == ["tiny"]

    arguments = ["export", "tiny", "--out", str(tmp_path / "tiny"), "--weights", "random", "--threads", "1"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    assert read_bundle(tmp_path / "tiny").manifest.family == "tiny"


def test_a_network_that_differs_from_the_framework_is_not_written(
    family: Callable[..., None], traced: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(pixels: Any, mask: Any, geometry: Any) -> SemanticResult:  # noqa: ARG001
        return SemanticResult(np.zeros(geometry.source_size, np.uint8), CLASSES)

    family(framework_result=other, resize=STRETCH)
    monkeypatch.setattr(exporting, "trace", lambda *_, **__: traced)
    shown: list[Any] = []
    with pytest.raises(CheckFailed, match=r"result has .* agree.* at least 95"):
        export_model("tiny", tmp_path / "tiny", RANDOM, show=shown.append)
    assert [line.what for line in shown[0].lines if not line.passed] == ["result"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mean", "passes"), [((0.485, 0.456, 0.406), True), ((0.5, 0.456, 0.406), False)])
def test_a_wrong_mean_cannot_hide(mean: tuple[float, float, float], passes: bool, traced: Traced) -> None:
    exportable = tiny(framework_pixels=processor(mean), resize=STRETCH)
    report = parity.compare(traced, exportable, parity.synthetic_pictures(), threads=1)
    assert [line.passed for line in report.lines if line.what == "input"] == [passes]
    assert report.parity.input_max == pytest.approx(0.0 if passes else 0.015 * 255, abs=1e-2)
    assert min(report.objects) > 1


def test_a_head_that_is_wrong_or_not_a_number_fails(traced: Traced) -> None:
    for wrong in (1e-2, float("nan")):
        exportable = tiny(resize=STRETCH)
        network = ByteInput(replace(exportable, core=Shifted(exportable.core, wrong)))
        report = parity.compare(replace(traced, network=network), exportable, parity.synthetic_pictures()[:1])
        assert [line.passed for line in report.lines if line.what == "logits"] == [False]


def test_a_valid_mask_and_bgr_reach_the_core(tmp_path: Path) -> None:
    exportable = tiny(valid_mask=True, color="bgr", mean=(0.1, 0.2, 0.3))
    masked = trace(exportable, SIZE, tmp_path / "x.onnx", "tiny")
    assert [(spec.name, spec.role, spec.dtype) for spec in masked.inputs] == [
        ("image", "image", "uint8"),
        ("valid_mask", "valid_mask", "bool"),
    ]
    assert masked.inputs[0].color == "rgb"
    report = parity.compare(masked, exportable, parity.synthetic_pictures(), threads=1)
    assert report.passed
    image = torch.zeros((1, *SIZE, 3), dtype=torch.uint8)
    image[..., 2] = 255  # blue of RGB is the first channel of BGR
    pixels = masked.network.pixels(image)[0, :, 0, 0]
    np.testing.assert_allclose(pixels, [(1 - 0.1) / 0.229, -0.2 / 0.224, -0.3 / 0.225], rtol=1e-5)
    covered = run_file(masked.path, {"image": image.numpy() + 255, "valid_mask": np.zeros((1, *SIZE), bool)})
    empty = exportable.core(torch.zeros(1, 3, *SIZE))
    np.testing.assert_allclose(covered["logits"], empty.detach(), atol=1e-4)


def test_a_dynamic_batch_gives_each_picture_what_it_gets_alone(tmp_path: Path) -> None:
    batched = trace(tiny(), SIZE, tmp_path / "x.onnx", "tiny", dynamic_batch=True)
    assert batched.inputs[0].shape == ("N", *SIZE, 3)
    assert batched.heads[0].shape == ("N", 5, 16, 24)
    batch = np.stack([synthetic_picture(seed, SIZE) for seed in range(3)])
    together = run_file(batched.path, {"image": batch})["logits"]
    for index in range(3):
        alone = run_file(batched.path, {"image": batch[index : index + 1]})["logits"]
        np.testing.assert_allclose(together[index], alone[0], atol=1e-4)


def test_an_interrupted_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def interrupted(exportable: Any, size: Any, path: Path, name: str, **_: Any) -> None:  # noqa: ARG001
        path.write_bytes(b"half")
        assert list((tmp_path / "temporary").iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "trace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_model("tiny", tmp_path / "tiny", RANDOM)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


def test_nodes_and_weights_are_named_after_torchs_modules(traced: Traced) -> None:
    import onnx

    graph = onnx.load(str(traced.path)).graph
    assert {"stem.1/Conv", "body/Conv", "head/Conv"} <= {node.name for node in graph.node}
    assert {"body.weight", "head.bias"} <= {tensor.name for tensor in graph.initializer}
    assert {node.name: node.module for node in read_nodes(traced.path)}["head/Conv"] == "head"


class Shifted(torch.nn.Module):
    """A network whose heads are `shift` too large."""

    def __init__(self, network: Any, shift: float) -> None:
        super().__init__()
        self.network, self.shift = network, shift

    def forward(self, pixels: Any) -> Any:
        """Return the shifted logits."""
        return self.network(pixels) + self.shift


def test_queries_that_changed_places_are_the_same_and_others_are_not() -> None:
    rng = np.random.default_rng(3)
    wanted = {"classes": rng.normal(size=(1, 9, 4)), "masks": rng.normal(size=(1, 9, 6, 8))}
    heads = (
        HeadSpec("classes", "class_logits", "float32", (1, 9, 4)),
        HeadSpec("masks", "mask_logits", "float32", (1, 9, 6, 8)),
    )
    order = np.array([1, 0, 2, 3, 4, 5, 6, 8, 7])
    found = {name: head[:, order] + 1e-5 for name, head in wanted.items()}
    aligned = parity.aligned(heads, wanted, found)
    for name in wanted:
        np.testing.assert_allclose(aligned[name], wanted[name], atol=1e-4)
    found["masks"] = found["masks"][:, order]  # the masks of other queries than the classes
    aligned = parity.aligned(heads, wanted, found)
    assert any(np.abs(aligned[name] - wanted[name]).max() > 0.1 for name in wanted)


# What is wrong is said before torch builds anything.


def refused(arguments: list[str]) -> str:
    done = CliRunner().invoke(cli, ["export", *arguments])
    assert isinstance(done.exception, SegrtError), done.output
    return str(done.exception)


def test_without_torch_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segrt.export.cli.export.find_spec", lambda name: None if name == "torch" else object())
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random"])
    assert said == "segrt export needs torch; `pip install 'segrt[export]'`"


def test_a_package_that_a_model_needs_is_named(tmp_path: Path, add_model: Callable[..., None]) -> None:
    def without_package(request: Any) -> None:
        raise ImportError(f"{request.model.name} is built with\nfancy-nets", name="fancy_nets")

    add_model(replace(TINY, needs=("fancy-nets",)), without_package)
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random"])
    assert said == "tiny needs fancy_nets; `pip install fancy-nets`"


def test_an_unknown_model_gets_the_nearest_names(tmp_path: Path) -> None:
    said = refused(["deeplabv3_resnet5", "--out", str(tmp_path / "b")])
    assert "there is no model 'deeplabv3_resnet5'" in said
    assert "deeplabv3_resnet50" in said


def test_a_size_that_the_family_cannot_take_gets_the_next_ones(tmp_path: Path) -> None:
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--size", "65x96"])
    assert said == "--size 65x96: tiny takes multiples of 32; the next are 64x96 or 96x96"


def test_a_model_without_published_weights_says_so(tmp_path: Path) -> None:
    assert "has no published weights; give yours with --weights FILE" in refused(["tiny", "--out", str(tmp_path / "b")])


def test_int8_without_pictures_says_what_is_missing(tmp_path: Path) -> None:
    common = ["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--precision", "fp32,int8"]
    assert "needs --calibration DIR" in refused(common)
    (tmp_path / "empty").mkdir()
    said = refused([*common, "--calibration", str(tmp_path / "empty")])
    assert str(tmp_path / "empty") in said
    assert "no pictures" in said


def test_too_few_parity_pictures_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "one.png", synthetic_picture(1))
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--parity-images", str(tmp_path)])
    assert "holds 1 pictures; give at least 3" in said


def test_a_precision_that_is_none_is_refused(tmp_path: Path) -> None:
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--precision", "fp8"])
    assert said == "--precision fp8: must be fp32, fp16, int8, int8-cpu, comma-separated"


def test_a_bundle_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    said = refused(["tiny", "--out", str(tmp_path / "there"), "--weights", "random"])
    assert "is already there" in said


def test_too_little_memory_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 0.5e9)
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random"])
    assert "needs 1.0 GB of memory at least, but 0.5 are free" in said


def test_a_family_without_batches_refuses_a_dynamic_one(family: Callable[..., None], tmp_path: Path) -> None:
    family(dynamic_batch=False)
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--dynamic-batch"])
    assert "leave --dynamic-batch out" in said


def test_top_queries_needs_queries(tmp_path: Path) -> None:
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--top-queries", "5"])
    assert "has no queries to choose from" in said
