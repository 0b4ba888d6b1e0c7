"""How well tracks fit the things of the next frame, all pairs in one pass of the core."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import ArgumentError
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.mask_runs import MaskRuns


@dataclass(frozen=True)
class FitWorth:
    """What overlaps are worth beside the IoU of whole masks, 0 to 1: see `segrt.runtime.tracking.matching`.

    `reach` enlarges boxes by that share of their sides before they are compared; 0 compares none. Nothing is near that
    has more than `grown` times the pixels of the other: of the track all, or those of it that are not hidden.
    """

    unseen: float
    seen_last: float
    emerging: float
    other_class: float
    reach: float
    grown: float


@dataclass(frozen=True, eq=False)
class TrackRows:
    """N tracks: `masks`; `known` (N, 10) and `predicted` (N, 8), float64, pixels.

    `known` has the centre (x, y) that the mask was seen at, the mask's area, the box that was seen last (x0, y0, x1,
    y1), the centre that it was seen at, and the class id. `predicted` has the centre and box of now, and how far the
    centre may be off in x and y, as a deviation.
    """

    masks: MaskRuns
    known: NDArray[np.float64]
    predicted: NDArray[np.float64]


def fit_tracks(
    tracks: TrackRows, masks: MaskRuns, things: NDArray[np.float64], size: tuple[int, int], worth: FitWorth
) -> NDArray[np.float64]:
    """Return float64 (4, N, M) of tracks and things: overlap, near, the share hidden, the IoU with what is visible.

    `things` (M, 6) has the area of each of `masks`, its box and its class id; `size` is the picture's (H, W).
    """
    if tracks.masks.by_columns != masks.by_columns:
        raise ArgumentError("masks must have the same lines as the tracks': those of maps have rows, of codes columns")
    fits: NDArray[np.float64] = call_checked(
        core.fit_tracks, (tracks.masks.runs, tracks.masks.starts), (masks.runs, masks.starts), masks.by_columns, size,
        tracks.known, tracks.predicted, things,
        (worth.unseen, worth.seen_last, worth.emerging, worth.other_class, worth.reach, worth.grown),
    )  # fmt: skip
    return fits
