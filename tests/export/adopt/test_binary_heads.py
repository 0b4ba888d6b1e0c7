"""One-channel networks: what their channel holds is seen or asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_networks import Adopt
from onnx import TensorProto, helper, numpy_helper

from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.binary import Binary
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.picture import network_inputs

SIZE = (32, 48)


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


def test_onnx_checks_the_networks_of_these_tests() -> None:
    for model, _, _ in FORMS.values():
        onnx.checker.check_model(model)


def test_a_head_that_was_cast_keeps_its_declared_type(adopt: Adopt, one: str) -> None:
    folder, said = adopt(FORMS["bool"][0], "semantic", labels=one)
    assert "head 'y' is bool: a Cast to uint8 was added" in said
    written = onnx.load(str(folder / "model.fp32.onnx"))
    assert written.graph.output[0].type.tensor_type.elem_type == TensorProto.UINT8
