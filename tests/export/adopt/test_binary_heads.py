"""One-channel networks: what their channel holds is seen or asked for, and the object is where the toolchain has it."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_networks import Adopt
from onnx import TensorProto, helper, numpy_helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.binary import Binary
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.picture import network_inputs

SIZE = (32, 48)


@pytest.fixture
def one(tmp_path: Path) -> str:
    path = tmp_path / "one.txt"
    path.write_text("object\n")
    return str(path)


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.txt"
    path.write_text("ground\nobject\n")
    return str(path)


def channel(*steps: tuple[Any, ...], out: str = "y", dtype: int = TensorProto.FLOAT, shape: Any = (1, 1, *SIZE)) -> Any:
    """A network whose logit is the sum of the normalised channels, followed by `steps`: (kind, constants, attributes).

    Its input is float NCHW.
    """
    weight = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    nodes, constants, last = [helper.make_node("Conv", ["x", "w"], ["s0"])], [weight], "s0"
    for number, (kind, values, attributes) in enumerate(steps, 1):
        names = [f"c{number}_{index}" for index in range(len(values))]
        constants += [numpy_helper.from_array(np.asarray(v), n) for n, v in zip(names, values, strict=True)]
        nodes.append(helper.make_node(kind, [last, *names], [f"s{number}"], **attributes))
        last = f"s{number}"
    nodes[-1].output[0] = out
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *SIZE])],
        [helper.make_tensor_value_info(out, dtype, list(shape))],
        constants,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CUT = ("Greater", [np.float32(0)], {})
TO_BYTES = ("Cast", [], {"to": TensorProto.UINT8})
LAST = ("Transpose", [], {"perm": [0, 2, 3, 1]})
FORMS: dict[str, tuple[Any, str, str]] = {
    "logits": (channel(), "logits", "float32"),
    "sigmoid": (channel(("Sigmoid", [], {})), "probabilities", "float32"),
    "log-probabilities": (channel(("Sigmoid", [], {}), ("Log", [], {})), "probabilities", "float32"),
    "the object's of two": (
        channel(
            ("Concat", [np.zeros((1, 1, *SIZE), np.float32)], {"axis": 1}),
            ("Softmax", [], {"axis": 1}),
            ("Gather", [np.array(0)], {"axis": 1}),
            shape=(1, *SIZE),
        ),
        "probabilities",
        "float32",
    ),
    "bool": (channel(CUT, dtype=TensorProto.BOOL), "mask", "uint8"),
    "cut to floats": (channel(CUT, ("Cast", [], {"to": TensorProto.FLOAT})), "mask", "float32"),
    "alpha": (
        channel(("Sigmoid", [], {}), ("Mul", [np.float32(255)], {}), TO_BYTES, dtype=TensorProto.UINT8),
        "bytes",
        "uint8",
    ),
    "logits, channels last": (channel(LAST, shape=(1, *SIZE, 1)), "logits", "float32"),
    "bool, channels last": (channel(CUT, LAST, dtype=TensorProto.BOOL, shape=(1, *SIZE, 1)), "mask", "uint8"),
    "logits, squeezed": (channel(("Squeeze", [np.array([1])], {}), shape=(1, *SIZE)), "logits", "float32"),
    "sigmoid, no batch": (
        channel(("Sigmoid", [], {}), ("Squeeze", [np.array([0, 1])], {}), shape=SIZE),
        "probabilities",
        "float32",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_one_channel_finds_the_same_object(adopt: Adopt, one: str, form: str) -> None:
    model, scores, dtype = FORMS[form]
    folder, said = adopt(model, "semantic", labels=one)
    manifest = read_bundle(folder).manifest
    assert manifest.decode == Binary(scores=scores)  # type: ignore[arg-type]
    assert (manifest.heads[0].role, manifest.heads[0].dtype) == ("object_scores", dtype)
    assert [label.name for label in manifest.labels] == ["background", "object"]
    assert any("one channel" in line for line in said)
    picture = synthetic_picture(7, SIZE)
    inputs, _ = network_inputs(manifest.inputs, picture)
    with open_bundle(folder, threads=1) as segmenter:
        classes = segmenter(picture).class_map  # type: ignore[union-attr]
        assert all(check.passed for check in verify(segmenter))
    wanted = inputs["x"][0].sum(0) > 0
    assert 0.1 < wanted.mean() < 0.9
    # 254.9 / 255 bytes are rounded down, so that a probability just above a half may be lost.
    assert (classes == wanted).mean() > (0.98 if form == "alpha" else 0.9999)


def test_two_names_are_the_rest_and_the_object(adopt: Adopt, two: str, tmp_path: Path) -> None:
    folder, _ = adopt(channel(), "semantic", labels=two, score_threshold=0.7)
    manifest = read_bundle(folder).manifest
    assert [label.name for label in manifest.labels] == ["ground", "object"]
    assert manifest.decode == Binary(0.7)
    (tmp_path / "turned.txt").write_text("object\nbackground\n")
    folder, said = adopt(channel(), "semantic", labels=str(tmp_path / "turned.txt"))
    assert [label.name for label in read_bundle(folder).manifest.labels] == ["background", "object"]
    assert "'object' is the object, 'background' the rest, though it stands behind" in said


@pytest.mark.parametrize("dtype", [TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64])
def test_ids_of_one_object_need_one_name_too(adopt: Adopt, one: str, dtype: int) -> None:
    model = channel(CUT, ("Cast", [], {"to": dtype}), dtype=dtype)
    folder, _ = adopt(model, "semantic", labels=one)
    manifest = read_bundle(folder).manifest
    assert manifest.decode.rule_name == "class_map"
    assert [label.name for label in manifest.labels] == ["background", "object"]
    with open_bundle(folder, threads=1) as segmenter:
        classes = segmenter(np.repeat(np.uint8([[[0], [255]]]), 3, axis=2)).class_map  # type: ignore[union-attr]
    assert classes.tolist() == [[0, 1]]


# model, options, what is said; then the options that the remedy names.
REFUSALS: dict[str, tuple[Any, dict[str, Any], str, dict[str, Any]]] = {
    "three names": (
        channel(),
        {"labels": "names.txt"},
        r"has one channel, the score of one object, but there are 3 labels; give one name or two .* with --labels FILE",
        {"labels": "one.txt"},
    ),
    "a semantic head of one channel": (
        channel(),
        {"heads": {"semantic_logits": "y"}},
        "has one channel, and of one class every pixel would be it; name it --head object_scores=y",
        {"heads": {"object_scores": "y"}},
    ),
    "what may be either": (
        channel(("Clip", [np.float32(0), np.float32(1)], {})),
        {},
        "which may be logits or probabilities; add --scores logits or --scores probabilities",
        {"scores": "probabilities"},
    ),
    "a probability that was rounded below 0": (
        channel(("Clip", [np.float32(0), np.float32(1)], {}), ("Sub", [np.float32(1e-4)], {})),
        {},
        "has values of -0.0001 to 1 that come from Sub, which may be logits or probabilities; add --scores logits or",
        {"scores": "probabilities"},
    ),
    "floats up to 255": (
        channel(("Sigmoid", [], {}), ("Mul", [np.float32(255)], {})),
        {},
        "which may be logits or bytes; add --scores logits or --scores bytes",
        {"scores": "bytes"},
    ),
    "logits of bytes": (
        channel(CUT, TO_BYTES, dtype=TensorProto.UINT8),
        {"scores": "logits", "heads": {"object_scores": "y"}},
        "--scores logits: output .* may hold bytes, mask; name one of these",
        {"scores": "mask"},
    ),
    "scores of several classes": (
        channel(("Concat", [np.zeros((1, 2, *SIZE), np.float32)], {"axis": 1}), shape=(1, 3, *SIZE)),
        {"labels": "names.txt", "scores": "logits"},
        "--scores logits: is for binary, but the network's rule is argmax; leave it out",
        {"labels": "names.txt", "scores": None},
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.usefixtures("one", "names")
def test_the_remedy_of_a_refusal_works(adopt: Adopt, tmp_path: Path, case: str) -> None:
    model, given, message, remedy = REFUSALS[case]

    def paths(options: dict[str, Any]) -> dict[str, Any]:
        chosen = {"labels": "one.txt", **options}
        return {**chosen, "labels": str(tmp_path / chosen["labels"])}

    with pytest.raises(SegrtError, match=message):
        adopt(model, "semantic", **paths(given))
    adopt(model, "semantic", **paths({**given, **remedy}))


def test_an_argmax_over_one_channel_is_refused(adopt: Adopt, one: str) -> None:
    model = channel(("ArgMax", [], {"axis": 1, "keepdims": 1}), dtype=TensorProto.INT64)
    with pytest.raises(SegrtError, match=r"is an ArgMax over one channel, which is 0 everywhere; export the"):
        adopt(model, "semantic", labels=one)


def export(network: Any, path: Path, size: tuple[int, int]) -> None:
    """Write `network` with torch's own exporter."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), (torch.zeros(1, 3, *size),), str(path), dynamo=False, opset_version=17)


def torch_to_bundle(network: Any, tmp_path: Path, labels: str, size: tuple[int, int], **options: Any) -> Path:
    """Export with torch's own exporter and adopt what it wrote."""
    path, out = tmp_path / "exported.onnx", tmp_path / "exported"
    export(network, path, size)
    adopt_network(path, out, AdoptOptions(technique="semantic", labels=labels, overwrite=True, **options))
    return out


def agreement(folder: Path, framework: Callable[[Any], Any]) -> float:
    """Return the least share of pixels, over three pictures, in which a bundle equals `framework` (pixels → mask)."""
    torch = pytest.importorskip("torch")
    manifest, least = read_bundle(folder).manifest, 1.0
    with open_bundle(folder, threads=1) as segmenter:
        for seed, size in ((1, (90, 130)), (2, (200, 120)), (3, (61, 77))):
            picture = synthetic_picture(seed, size)
            inputs, _ = network_inputs(manifest.inputs, picture)
            with torch.no_grad():
                wanted = framework(torch.from_numpy(next(iter(inputs.values()))), size).numpy()
            assert 0.02 < wanted.mean() < 0.98
            least = min(least, float((segmenter(picture).class_map == wanted).mean()))  # type: ignore[union-attr]
    return least


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize(
    ("name", "shallow"),
    [
        ("Unet", {"encoder_depth": 3, "decoder_channels": (64, 32, 16)}),
        ("FPN", {"encoder_depth": 4}),
        ("Linknet", {"encoder_depth": 3}),
    ],
    ids=["Unet", "FPN", "Linknet"],
)
def test_networks_of_smp_cut_as_its_examples_do(
    name: str, shallow: dict[str, Any], activation: str | None, one: str, tmp_path: Path
) -> None:
    smp: Any = pytest.importorskip("segmentation_models_pytorch")
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    network = getattr(smp, name)("resnet18", encoder_weights=None, classes=1, activation=activation, **shallow)
    with torch.no_grad():  # so that the object has a share of the picture
        network.eval()
        head = network.segmentation_head
        logits = head[0](network.decoder(network.encoder(torch.randn(1, 3, 64, 96))))
        head[0].bias -= logits.median()
        head[0].weight.mul_(4 / logits.std())
        head[0].bias.mul_(4 / logits.std())

    def framework(pixels: Any, size: tuple[int, int]) -> Any:
        scores = torch.nn.functional.interpolate(network(pixels), size, mode="bilinear", align_corners=False)[0, 0]
        return (scores if activation else scores.sigmoid()) > 0.5

    folder = torch_to_bundle(network, tmp_path, one, (64, 96))
    assert read_bundle(folder).manifest.decode == Binary(scores="probabilities" if activation else "logits")
    assert agreement(folder, framework) > 0.9995


def test_a_matting_network_is_enlarged_as_probabilities(one: str, tmp_path: Path) -> None:
    """As BiRefNet, MODNet and rembg's networks: a sigmoid at the end, enlarged to the picture, then cut."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, 2, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 3, 2, 1, bias=False), torch.nn.Sigmoid()
    ).eval()
    with torch.no_grad():
        network[2].weight.mul_(20)

    def framework(pixels: Any, size: tuple[int, int]) -> Any:
        return torch.nn.functional.interpolate(network(pixels), size, mode="bilinear")[0, 0] > 0.35

    folder = torch_to_bundle(network, tmp_path, one, (64, 96), score_threshold=0.35)
    assert read_bundle(folder).manifest.heads[0].shape == (1, 1, 16, 24)
    assert agreement(folder, framework) > 0.9995


def test_a_segformer_of_one_class_says_so_beside_its_file(tmp_path: Path) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=1, depths=[1] * 4, hidden_sizes=[16, 32, 40, 64], decoder_hidden_size=32, id2label={0: "crack"}
    )
    inner = transformers.SegformerForSemanticSegmentation(config).eval()
    inner.save_pretrained(tmp_path)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 96}).save_pretrained(tmp_path)
    torch.nn.init.normal_(inner.decode_head.classifier.weight, std=4.0)

    class Logits(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, pixel_values: Any) -> Any:
            return inner(pixel_values=pixel_values).logits

    def framework(pixels: Any, size: tuple[int, int]) -> Any:
        logits = inner(pixel_values=pixels).logits
        return torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)[0, 0].sigmoid() > 0.5

    path, out = tmp_path / "model.onnx", tmp_path / "adopted"
    export(Logits(), path, (64, 96))
    adopt_network(path, out, AdoptOptions())
    assert [label.name for label in read_bundle(out).manifest.labels] == ["background", "crack"]
    assert agreement(out, framework) > 0.9995


def test_the_cases_of_the_field_find_the_bright_half(fixtures: Path, tmp_path: Path) -> None:
    from segrt.runtime.files.images import read_image

    folder = fixtures / "field" / "binary"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    for name, labels in (("logit", "one"), ("logit", "two"), ("sigmoid", "one"), ("sigmoid", "two")):
        options = AdoptOptions(technique="semantic", labels=str(folder / f"{labels}.txt"), overwrite=True)
        adopt_network(folder / f"{name}.onnx", tmp_path / "out", options)
        with open_bundle(tmp_path / "out", threads=1) as segmenter:
            result: Any = segmenter(read_image(folder / "half.png"))
        assert [result.labels[value].name for value in result.class_map[10, [5, 60]]] == ["background", "object"]
        assert (result.class_map == 1).mean() == 0.5


def test_onnx_checks_the_networks_of_these_tests() -> None:
    for model, _, _ in FORMS.values():
        onnx.checker.check_model(model)


def test_a_head_that_was_cast_keeps_its_declared_type(adopt: Adopt, one: str) -> None:
    folder, said = adopt(FORMS["bool"][0], "semantic", labels=one)
    assert "head 'y' is bool: a Cast to uint8 was added" in said
    written = onnx.load(str(folder / "model.fp32.onnx"))
    assert written.graph.output[0].type.tensor_type.elem_type == TensorProto.UINT8
