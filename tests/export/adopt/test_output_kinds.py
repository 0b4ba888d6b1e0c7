"""Outputs that are no tensors, have no masks or no declared shape: taken as ONNX Runtime does, or named in one line."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from constant_networks import HEIGHT, WIDTH, constant_model
from onnx import TensorProto, helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime import open_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.technique import Technique

IDS = (np.arange(HEIGHT * WIDTH).reshape(1, HEIGHT, WIDTH) % 5).astype(np.float64)
ROWS = np.random.default_rng(0).random((1, 9, 1200), np.float32)


def adopted(model: onnx.ModelProto, folder: Path, technique: Technique = "semantic") -> list[str]:
    """Adopt a network of five classes as folder/bundle; return the notes."""
    file, labels = folder / "network.onnx", folder / "five.txt"
    file.write_bytes(model.SerializeToString())
    labels.write_text("sky\nroad\ncar\nbus\ndog\n")
    return adopt_network(file, folder / "bundle", AdoptOptions(technique=technique, labels=str(labels)))


def class_map(folder: Path) -> np.ndarray:
    """What the adopted network finds in a picture of its own size."""
    with open_bundle(folder / "bundle") as segmenter:
        result = segmenter(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert isinstance(result, SemanticResult)
    return result.class_map


def test_a_sequence_is_named_in_one_line(tmp_path: Path) -> None:
    model = constant_model({"maps": IDS.astype(np.int64)})
    model.graph.node.append(helper.make_node("SequenceConstruct", ["maps"], ["parts"]))
    model.graph.output.append(helper.make_tensor_sequence_value_info("parts", TensorProto.INT64, None))
    with pytest.raises(SegrtError, match=r"network.onnx: output 'parts' is no tensor but of type sequence; export"):
        adopted(model, tmp_path)


def test_outputs_without_a_declared_shape_are_taken(tmp_path: Path) -> None:
    model = constant_model({"classes": IDS.astype(np.int64)})
    model.graph.output[0].type.tensor_type.ClearField("shape")
    adopted(model, tmp_path)
    assert np.array_equal(class_map(tmp_path), IDS[0])


@pytest.mark.parametrize("kept", [True, False])
def test_a_class_map_of_doubles_is_a_class_map(tmp_path: Path, kept: bool) -> None:
    notes = adopted(constant_model({"classes": IDS[:, None] if kept else IDS}), tmp_path)
    assert "head 'classes' is a class map in float64: a Cast to int32 was added" in notes
    assert np.array_equal(class_map(tmp_path), IDS[0])


@pytest.mark.parametrize("technique", ["instance", "panoptic"])
def test_a_detector_of_boxes_alone_is_told_so(tmp_path: Path, technique: Technique) -> None:
    with pytest.raises(SegrtError, match=rf"'rows' .* hold no masks: .* does no {technique} segmentation; export its"):
        adopted(constant_model({"rows": ROWS}), tmp_path, technique)
    boxes = {"boxes": ROWS[0, :3, :4], "labels": np.zeros(3, np.int64), "scores": ROWS[0, 0, :3]}
    with pytest.raises(SegrtError, match="hold no masks"):
        adopted(constant_model(boxes), tmp_path, technique)
