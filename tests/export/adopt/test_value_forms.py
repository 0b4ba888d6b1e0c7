"""Heads that hold probabilities where logits belong, or the other way round, are refused: they'd mislead silently."""

from pathlib import Path

import numpy as np
import pytest
from constant_networks import HEIGHT, WIDTH, constant_model, yolo_table

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime.errors import SegrtError

RNG = np.random.default_rng(3)
CLASSES, MASKS = RNG.normal(0, 4, (1, 6, 4)), RNG.normal(0, 4, (1, 6, 16, 24))
CLASSES[0, 0, 3] = 20  # "no object" wins somewhere
TABLE, PROTOTYPES = yolo_table(RNG)
SIDES = np.array([[WIDTH], [HEIGHT], [WIDTH], [HEIGHT]])


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Probabilities of logits."""
    return 1 / (1 + np.exp(-values))


def softmax(values: np.ndarray) -> np.ndarray:
    """Probabilities of rows of logits."""
    return np.exp(values) / np.exp(values).sum(-1, keepdims=True)


def queries(classes: np.ndarray, masks: np.ndarray = MASKS) -> dict[str, np.ndarray]:
    """Heads of a query network."""
    return {"class_logits": classes, "mask_logits": masks}


def detections(scores: tuple[float, ...], masks: float = 1) -> dict[str, np.ndarray]:
    """Heads of a network of boxes; the masks are 0 at their borders, `masks` inside."""
    inside = np.pad(np.full((1, 2, 20, 20), masks), ((0, 0), (0, 0), (4, 4), (4, 4)))
    boxes = np.array([[[5, 5, 30, 30], [40, 10, 90, 60]]])
    return {"boxes": boxes, "scores": np.array([scores]), "labels": np.zeros((1, 2), np.int64), "masks": inside}


def yolo(box: np.ndarray | float = 1, score: float = 1, turned: bool = False) -> dict[str, np.ndarray]:
    """Heads of a YOLO of three classes whose boxes and scores are multiplied."""
    table = TABLE.copy()
    table[:4] *= box
    table[4:7] *= score
    return {"output0": (table.T if turned else table)[None], "output1": PROTOTYPES}


def adopt(folder: Path, heads: dict[str, np.ndarray], stated: dict[str, str]) -> None:
    """Adopt a network of three classes with these heads."""
    values = {name: value if name == "labels" else value.astype(np.float32) for name, value in heads.items()}
    file, labels = folder / "network.onnx", folder / "three.txt"
    file.write_bytes(constant_model(values).SerializeToString())
    labels.write_text("car\ndog\nbus\n")
    masks = "box" if "boxes" in heads else None
    options = AdoptOptions(technique="instance", labels=str(labels), masks=masks, heads=stated, overwrite=True)
    adopt_network(file, folder / "bundle", options)


@pytest.mark.parametrize(
    ("heads", "role", "output", "said"),
    [
        (queries(softmax(CLASSES)), "class_logits", "class_logits", "probabilities, not logits, so that all classes"),
        (queries(sigmoid(CLASSES[..., :3])), "class_logits", "class_logits", "probabilities, not logits"),
        (
            queries(CLASSES, sigmoid(MASKS)),
            "mask_logits",
            "mask_logits",
            "probabilities, .* every mask would be the whole",
        ),
        (detections((8, -3)), "scores", "scores", "scores of -3 to 8"),
        (detections((90, 40)), "scores", "scores", "scores of 40 to 90"),
        (detections((0.9, 0.8), 255), "masks", "masks", "masks of 0 to 255, .*: divide by 255"),
        (yolo(score=30), "predictions", "output0", "class scores of"),
        (yolo(score=-30, turned=True), "predictions", "output0", "class scores of"),
        (yolo(box=1 / SIDES), "predictions", "output0", "normalised boxes"),
    ],
)
def test_values_of_another_form_are_refused_unless_stated(
    tmp_path: Path, heads: dict[str, np.ndarray], role: str, output: str, said: str
) -> None:
    with pytest.raises(SegrtError, match=rf"output '{output}' holds {said}.*add --head {role}={output}") as refused:
        adopt(tmp_path, heads, {})
    assert "\n" not in str(refused.value)
    adopt(tmp_path, heads, {role: output})


@pytest.mark.parametrize(
    "heads",
    [
        queries(CLASSES),
        queries(CLASSES[..., :3]),
        detections((0.9, -1)),  # padded
        detections((0.9, 0.8), -4),
        yolo(),
        yolo(turned=True),
    ],
)
def test_values_of_the_right_form_are_taken(tmp_path: Path, heads: dict[str, np.ndarray]) -> None:
    adopt(tmp_path, heads, {})
