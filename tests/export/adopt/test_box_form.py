"""Boxes of another form than corners in pixels are refused: they would be adopted without a word, and lie elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constant_networks import HEIGHT, WIDTH, constant_model

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError

CORNERS = np.array([[5, 5, 30, 30], [40, 10, 92, 60], [60, 1, 70, 12], [0, 0, 0, 0]], np.float32)
SIDES = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)
OFFSET = np.concatenate([CORNERS[:, :2], CORNERS[:, 2:] - CORNERS[:, :2]], axis=1)
CENTERED = np.concatenate([(CORNERS[:, :2] + CORNERS[:, 2:]) / 2, OFFSET[:, 2:]], axis=1)
Y_FIRST = CORNERS[:, [1, 0, 3, 2]]


def adopted(folder: Path, boxes: np.ndarray, scores: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6), **more: Any) -> Any:
    """Adopt a detector of these boxes, their masks filling them; return the manifest."""
    heads = {
        "boxes": boxes[None],
        "scores": np.array([scores], np.float32),
        "labels": np.zeros((1, 4), np.int64),
        "masks": np.ones((1, 4, 28, 28), np.float32),
    }
    file, labels = folder / "detector.onnx", folder / "two.txt"
    file.write_bytes(constant_model(heads).SerializeToString())
    labels.write_text("car\ndog\n")
    options = AdoptOptions(technique="instance", labels=str(labels), masks="box", **more)
    adopt_network(file, folder / "bundle", options)
    return read_bundle(folder / "bundle").manifest


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        (CORNERS / SIDES, "normalised boxes"),
        ((CORNERS / SIDES)[:, [1, 0, 3, 2]], "normalised boxes"),
        (OFFSET, "end before they begin"),
        (CENTERED, "end before they begin"),
        (Y_FIRST, "y before x"),
    ],
)
def test_other_forms_are_refused_unless_stated(tmp_path: Path, boxes: np.ndarray, said: str) -> None:
    with pytest.raises(SegrtError, match=rf"output 'boxes' holds .*{said}.*--head boxes=boxes") as refused:
        adopted(tmp_path, boxes)
    assert "\n" not in str(refused.value)
    assert adopted(tmp_path, boxes, heads={"boxes": "boxes"}).technique == "instance"


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        (CORNERS, (0.9, 0.8, 0.7, 0.6)),
        (CORNERS - 4, (0.9, 0.8, 0.7, 0.6)),  # leaves the picture a little
        (CORNERS * 0, (0.0, 0.0, 0.0, 0.0)),
        (np.where(np.arange(4)[:, None] < 1, CORNERS, OFFSET), (0.9, 0.0, 0.0, 0.0)),  # rows without a score
    ],
)
def test_corners_in_pixels_and_padding_are_taken(tmp_path: Path, boxes: np.ndarray, scores: tuple[float, ...]) -> None:
    assert adopted(tmp_path, boxes.astype(np.float32), scores).technique == "instance"


@pytest.mark.parametrize("batch", [True, False])
def test_query_heads_of_four_rows_are_told_apart(tmp_path: Path, batch: bool) -> None:
    heads = {
        "scores": np.array([[9, 0, 0], [0, 9, 0], [0, 0, 9], [0, 0, 9]], np.float32),
        "masks": np.ones((4, 4, 6), np.float32),
    }
    if batch:
        heads = {name: value[None] for name, value in heads.items()}
    file, labels = tmp_path / "queries.onnx", tmp_path / "two.txt"
    file.write_bytes(constant_model(heads).SerializeToString())
    labels.write_text("car\ndog\n")
    adopt_network(file, tmp_path / "bundle", AdoptOptions(technique="instance", labels=str(labels)))
    shapes = {head.role: head.shape for head in read_bundle(tmp_path / "bundle").manifest.heads}
    assert shapes == {"class_logits": (1, 4, 3), "mask_logits": (1, 4, 4, 6)}
