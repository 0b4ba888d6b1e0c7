"""One class map from scores of several views of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import (
    ArgumentError,
    Size,
    Window,
    check_floats,
    checked_size,
    checked_threads,
    checked_window,
)
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import Floats

MOST_VIEWS = 16


@dataclass(frozen=True)
class ScoreView:
    """Scores (C, h, w), the `window` of that grid which the target shows, and how much the view counts there.

    A view counts at each pixel as its row's weight times its column's, float32 (H,) and (W,), 1 where there are none.
    Where several views show a pixel, their weights should add up to 1.
    """

    scores: Floats
    window: Window | None = None
    row_weights: NDArray[np.float32] | None = None
    column_weights: NDArray[np.float32] | None = None


def blend_map(
    tiles: Sequence[ScoreView],
    size: Size,
    *,
    whole: ScoreView | None = None,
    things: Sequence[bool] = (),
    shares: bool = False,
    threads: int = 0,
) -> NDArray[Any]:
    """The class of the highest score at every pixel, of the weighted sum of the tiles' interpolated scores.

    With `whole`, a view of the picture around, a pixel on which both agree has that class. Elsewhere scores become
    probabilities: their softmax, or with `shares` their share of the sum. A thing's probability is the mean of what the
    whole and the tiles say; what things leave goes to stuff, as the whole alone tells it apart, for stuff is known by
    what is around it. Where all classes are things, or none is, every probability is the mean. The lowest class wins a
    tie.

    Args:
        tiles: 1 to 16 views with as many classes each, 2 at least.
        size: (H, W) of the map.
        whole: the view of the whole picture.
        things: for each class whether it is a thing; needed with `whole`.
        shares: the scores are no logits but parts of a sum, at least 0.
        threads: the most threads to use.

    Returns:
        (H, W), uint8 up to 256 classes, else uint16.
    """
    if not 1 <= len(tiles) <= MOST_VIEWS:
        raise ArgumentError(f"tiles must be 1 to {MOST_VIEWS} views, got {len(tiles)}")
    given = [_checked(view) for view in tiles]
    classes = int(tiles[0].scores.shape[0])
    if not 2 <= classes <= 65536:
        raise ArgumentError(f"scores must have 2 to 65536 classes, got shape {tiles[0].scores.shape}")
    out = np.empty(checked_size("size", size), np.uint8 if classes <= 256 else np.uint16)
    flags = np.array(things, np.uint8)
    around = None if whole is None else _checked(whole)
    call_checked(core.blend_map, given, around, flags, shares, out, checked_threads(threads))
    return out


def _checked(view: ScoreView) -> tuple[Any, ...]:
    check_floats("scores", view.scores, "(C, h, w)", 3)
    window = checked_window(view.window, view.scores.shape[1:])
    return view.scores, window, *map(_contiguous, (view.row_weights, view.column_weights))


def _contiguous(weights: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if weights is None else np.ascontiguousarray(weights, np.float32)
