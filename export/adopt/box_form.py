"""Whether boxes are what `paste_masks` takes, left, top, right and bottom in pixels of the input: by what they hold."""

from collections.abc import Mapping

import numpy as np

from segrt.export.adopt.guessing import Output
from segrt.export.adopt.signs import SURE, Runs
from segrt.runtime.errors import SegrtError

_ONE = 1.5  # what normalised boxes hardly leave, and boxes in pixels do
_REVERSED = 0.1  # share of the boxes that end before they begin: none does, but for rounding
_BEYOND, _WITHIN = 1.2, 1.05  # of a side


def check_boxes(heads: Mapping[str, Output], runs: Runs, size: tuple[int, int], old_name: str) -> None:
    """Raise SegrtError for boxes of another form; `size` (h, w) is the input's, `old_name` the output in the file.

    Normalised boxes would all lie in the first pixel, centres and sizes be taken for corners, without a word. Rows
    without a score tell nothing: they may be padding.
    """
    boxes = _detected(heads, runs)
    form = _other_form(boxes, size)
    if form is not None:
        raise SegrtError(
            f"output {old_name!r} holds {form}, but boxes must be left, top, right, bottom in pixels of the input; "
            f"bring them to it in the graph, or where they are so nevertheless, add --head boxes={old_name}"
        )


def _detected(heads: Mapping[str, Output], runs: Runs) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the finite boxes (N, 4) with a score, of all runs."""
    found = [np.zeros((0, 4))]
    for run in runs:
        boxes = run[heads["boxes"].spec.name].reshape(-1, 4).astype(np.float64)
        scores = run[heads["scores"].spec.name].reshape(-1)
        if len(boxes) == len(scores):
            found.append(boxes[(scores > SURE) & np.isfinite(boxes).all(axis=1)])
    return np.concatenate(found)


def _other_form(boxes: np.ndarray[tuple[int, int], np.dtype[np.float64]], size: tuple[int, int]) -> str | None:
    """Return what the boxes seem to be instead of corners in pixels, or None."""
    boxes = boxes[np.abs(boxes).max(axis=1, initial=0) > 0]
    if len(boxes) == 0:
        return None
    if np.abs(boxes).max() <= _ONE < min(size):
        return f"normalised boxes (up to {boxes.max():.3g})"
    ends_first = (boxes[:, 2:] < boxes[:, :2] - 1).any(axis=1)
    if np.count_nonzero(ends_first) > _REVERSED * len(boxes):
        first = ", ".join(f"{value:.4g}" for value in boxes[ends_first.argmax()])
        return f"boxes that end before they begin ({first}), as widths and heights do"
    # Of a picture that is no square: what leaves it at its shorter side, but not were x and y in turn.
    height, width = size
    right, bottom = boxes[:, 2].max(), boxes[:, 3].max()
    leaves = bottom > _BEYOND * height if height < width else right > _BEYOND * width
    if height != width and leaves and right <= _WITHIN * height and bottom <= _WITHIN * width:
        return f"boxes that reach x {right:.4g} and y {bottom:.4g} of {width}×{height} pixels, as with y before x"
    return None
