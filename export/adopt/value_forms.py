"""Whether heads hold what their rule takes, logits or probabilities: by their values, before they mislead silently."""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from segrt.export.adopt.guessing import Output
from segrt.export.adopt.signs import SURE, Runs
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import Array

_QUERY_HEADS = {
    "class_logits": "all classes would score nearly alike",
    "mask_logits": "every mask would be the whole picture",
}
_ROUNDING = 1e-3
_ONE = 1.5  # what normalised boxes hardly leave, and anchors in pixels do


def check_values(
    heads: Mapping[str, Output], runs: Runs, rows: tuple[str, int], stated: Collection[str], old: Callable[[str], str]
) -> None:
    """Raise SegrtError for heads with values of another form than their role has; those `stated` by the user pass.

    `rows` says what a YOLO's predictions are, and of how many classes; `old` gives an output's name in the file.
    """
    for role, output in heads.items():
        problem = None if role in stated else _problem(role, output, heads, runs, rows)
        if problem is not None:
            name = old(output.spec.name)
            raise SegrtError(f"output {name!r} holds {problem}; where it is right as it is, add --head {role}={name}")


def _problem(role: str, output: Output, heads: Mapping[str, Output], runs: Runs, rows: tuple[str, int]) -> str | None:
    values = [run[output.spec.name] for run in runs]
    if role in _QUERY_HEADS:
        low, high = _range(values)
        if low >= -_ROUNDING and _ROUNDING < high <= 1 + _ROUNDING and low < high:
            return f"probabilities, not logits, so that {_QUERY_HEADS[role]}: export it before its Softmax or Sigmoid"
    if role == "scores":
        return _of_scores(_range(values), "scores")
    if role == "masks":
        low, high = _range(values)
        if low >= 0 and high > 1 + _ROUNDING:  # logits are negative somewhere
            return f"masks of 0 to {high:.4g}, which are neither probabilities nor logits: divide by {high:.4g}"
    if role == "predictions":
        return _of_predictions(values, heads["prototypes"], *rows)
    return None


def _of_scores(ends: tuple[float, float], what: str) -> str | None:
    low, high = ends
    if low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:  # -1 marks padding
        return None
    return f"{what} of {low:.4g} to {high:.4g}, but they must be probabilities: add a Sigmoid or Softmax to the graph"


def _of_predictions(values: list[Array], prototypes: Output, rows: str, classes: int) -> str | None:
    """Return what is wrong with a YOLO's rows: a box, its scores, and a coefficient for each prototype."""
    scores_end = {"yolo": 4 + classes, "yolov5": 5 + classes, "detections": 5}[rows]
    length = scores_end + int(prototypes.spec.lengths[1]) + (rows == "detections")  # which have the class, too
    turned = values[0].shape[-1] != length
    table = np.concatenate([(value.swapaxes(-1, -2) if turned else value)[0] for value in values]).astype(np.float32)
    if table.shape[-1] != length:
        return None
    scores = table[:, 4:scores_end]
    problem = _of_scores(_range([scores]), "class scores")
    if problem is not None:
        return problem
    boxes = table[scores[:, 0] > SURE, :4] if rows == "detections" else table[:, :4]
    if boxes.size and 0 < np.nanmax(np.abs(boxes)) <= _ONE:
        return "normalised boxes, but they must be in pixels of the input: multiply them in the graph"
    return None


def _range(values: list[Array]) -> tuple[float, float]:
    """Return the lowest and the highest finite value; 0 and 0 for none."""
    finite = np.concatenate([value[np.isfinite(value)].reshape(-1) for value in values])
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
