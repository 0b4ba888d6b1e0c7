"""A channel for each class: scores of their own, bytes, marks, and maps that cannot lie over the picture."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from constant_networks import constant_model
from foreign_networks import Adopt
from onnx import TensorProto, helper, numpy_helper
from side_file_networks import CONFIG, adopted, beside, identity, pictures

from segrt.export.adopt.candidates import UndecidedError
from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.picture import network_inputs

SIZE = (32, 48)


def network(
    *steps: tuple[str, list[Any], dict[str, Any]], dtype: int = TensorProto.FLOAT, shape: Any = (1, 3, *SIZE)
) -> onnx.ModelProto:
    """A network whose logits are its input, followed by `steps`: (kind, constants, attributes)."""
    nodes, constants, last = [helper.make_node("Identity", ["x"], ["s0"])], [], "s0"
    for number, (kind, values, attributes) in enumerate(steps, 1):
        names = [f"c{number}_{index}" for index in range(len(values))]
        constants += [numpy_helper.from_array(np.asarray(v), n) for n, v in zip(names, values, strict=True)]
        nodes.append(helper.make_node(kind, [last, *names], [f"s{number}"], **attributes))
        last = f"s{number}"
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *SIZE])],
        [helper.make_tensor_value_info("y", dtype, list(shape))],
        constants,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def highest(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What a bundle says of a picture, and the channel that is highest in what its network is fed."""
    (picture,) = pictures(SIZE)
    inputs, _ = network_inputs(read_bundle(folder).manifest.inputs, picture)
    with open_bundle(folder, threads=1) as segmenter:
        return segmenter(picture).class_map, inputs["x"][0].argmax(0)  # type: ignore[union-attr]


SIGMOID = ("Sigmoid", [], {})
CUT = ("Greater", [np.float32(0)], {})
OWN: dict[str, Callable[[], onnx.ModelProto]] = {
    "sigmoids": lambda: network(SIGMOID),
    "marks": lambda: network(CUT, dtype=TensorProto.BOOL),
    "marks as bytes": lambda: network(CUT, ("Cast", [], {"to": TensorProto.UINT8}), dtype=TensorProto.UINT8),
    "sigmoids, channels last": lambda: network(SIGMOID, ("Transpose", [], {"perm": [0, 2, 3, 1]}), shape=(1, *SIZE, 3)),
}


@pytest.mark.parametrize("case", OWN)
def test_classes_with_scores_of_their_own_are_asked_about(adopt: Adopt, case: str) -> None:
    with pytest.raises(UndecidedError, match="may be of none or of several") as asked:
        adopt(OWN[case](), "semantic")
    assert "\n" not in str(asked.value)
    (candidate,) = asked.value.candidates
    assert candidate.typed == "--head semantic_logits=y"
    folder, said = adopt(OWN[case](), "semantic", **candidate.options)
    assert any("the highest is taken in every pixel" in line for line in said)
    found, wanted = highest(folder)
    if case.startswith("sigmoids"):
        assert (found == wanted).mean() > 0.999


@pytest.mark.parametrize("names", ["background car person", "car person other"])
def test_a_class_for_the_background_leaves_no_pixel_without_one(adopt: Adopt, tmp_path: Path, names: str) -> None:
    (tmp_path / "rest.txt").write_text("\n".join(names.split()) + "\n")
    folder, said = adopt(network(SIGMOID), "semantic", labels=str(tmp_path / "rest.txt"))
    assert any("the highest is taken in every pixel" in line for line in said)
    found, wanted = highest(folder)
    assert (found == wanted).mean() > 0.999


BYTES = ("Cast", [], {"to": TensorProto.UINT8})
SHARED: dict[str, Callable[[], onnx.ModelProto]] = {
    "bytes": lambda: network(
        ("Softmax", [], {"axis": 1}), ("Mul", [np.float32(255)], {}), BYTES, dtype=TensorProto.UINT8
    ),
    "bytes, channels last": lambda: network(
        ("Softmax", [], {"axis": 1}),
        ("Mul", [np.float32(255)], {}),
        BYTES,
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        dtype=TensorProto.UINT8,
        shape=(1, *SIZE, 3),
    ),
    "one hot": lambda: network(
        ("ArgMax", [], {"axis": 1, "keepdims": 0}),
        ("OneHot", [np.array(3), np.array([0, 1])], {"axis": 1}),
        dtype=TensorProto.INT64,
    ),
    "log-probabilities": lambda: network(("LogSoftmax", [], {"axis": 1})),
}


@pytest.mark.parametrize("case", SHARED)
def test_channels_that_share_a_pixel_are_a_map_of_classes(adopt: Adopt, case: str) -> None:
    folder, said = adopt(SHARED[case](), "semantic")
    assert not any("of its own" in line for line in said)
    found, wanted = highest(folder)
    assert len(np.unique(wanted)) == 3
    assert (found == wanted).mean() > (0.98 if case.startswith("bytes") else 0.999)  # bytes are rounded down


MAPS: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "sides swapped": (
        lambda: network(("Transpose", [], {"perm": [0, 1, 3, 2]}), shape=(1, 3, 48, 32)),
        r"'y' of 48×32 cells does not have the ratio of the input's 32×48; .*add --head semantic_logits=y",
    ),
    "ids, sides swapped": (
        lambda: network(
            ("ArgMax", [], {"axis": 1, "keepdims": 0}),
            ("Transpose", [], {"perm": [0, 2, 1]}),
            dtype=TensorProto.INT64,
            shape=(1, 48, 32),
        ),
        r"'y' of 48×32 cells .*add --head class_map=y",
    ),
    "cells in a row": (
        lambda: network(("Reshape", [np.array([1, 3, -1])], {}), shape=(1, 3, 32 * 48)),
        "is no map but has its cells in one row; export it as classes × height × width",
    ),
    "cells in a row, classes last": (
        lambda: network(
            ("Reshape", [np.array([1, 3, -1])], {}), ("Transpose", [], {"perm": [0, 2, 1]}), shape=(1, 32 * 48, 3)
        ),
        "is no map but has its cells in one row",
    ),
}


@pytest.mark.parametrize("case", MAPS)
def test_maps_that_do_not_lie_over_the_picture_are_refused(adopt: Adopt, case: str) -> None:
    make, message = MAPS[case]
    with pytest.raises(SegrtError, match=message) as refused:
        adopt(make(), "semantic")
    assert "\n" not in str(refused.value)
    if isinstance(refused.value, UndecidedError):  # what is advised goes on
        adopt(make(), "semantic", **refused.value.candidates[0].options)


@pytest.mark.parametrize("side", [(33, 49), (11, 16), (2, 2)])
def test_reduced_maps_whose_sides_were_rounded_are_taken(adopt: Adopt, side: Any) -> None:
    adopt(
        network(
            ("Resize", [np.zeros(0, np.float32), np.zeros(0, np.float32), np.array([1, 3, *side])], {}),
            shape=(1, 3, *side),
        ),
        "semantic",
    )


def test_a_network_for_something_else_is_refused_by_its_architecture(tmp_path: Path) -> None:
    for architecture in ("DPTForDepthEstimation", "SegformerForImageClassification"):
        path = identity(tmp_path)
        beside(path, config={**CONFIG, "architectures": [architecture]})
        with pytest.raises(SegrtError, match=f"its architecture {architecture} does no segmentation"):
            adopted(path, technique="semantic")


def test_class_logits_of_mask2former_have_no_object_whatever_wins(tiny: SimpleNamespace) -> None:
    """Where nothing tells the last column's meaning, the file's own words do."""
    logits = np.zeros((1, 5, 4), np.float32)
    logits[0, :, 1] = 9
    masks = np.full((1, 5, 16, 24), -9, np.float32)
    masks[0, :, :8] = 9
    path = tiny.save(constant_model({"class_queries_logits": logits, "masks_queries_logits": masks}))
    config = {**CONFIG, "architectures": ["Mask2FormerForUniversalSegmentation"], "model_type": "mask2former"}
    beside(path, config=config)
    manifest, _ = adopted(path, technique="instance")
    assert manifest.decode.activation == "softmax"
    beside(path, config={**config, "model_type": "another"})
    with pytest.raises(UndecidedError, match="add --activation softmax or --activation sigmoid"):
        adopted(path, technique="instance")


def test_a_second_input_of_floats_is_no_valid_mask(adopt: Adopt) -> None:
    model = network(SIGMOID)
    model.graph.input.append(helper.make_tensor_value_info("trimap", TensorProto.FLOAT, [1, *SIZE]))
    with pytest.raises(SegrtError, match="must have one input that is a picture, and a valid mask at most"):
        adopt(model, "semantic")
