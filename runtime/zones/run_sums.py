"""Sums over the runs of masks, without a pixel of them: their centres."""

import numpy as np

from segrt.runtime.postproc import MaskRuns


def centres_of(masks: MaskRuns) -> list[tuple[float, float] | None]:
    """Return the mean (x, y) of the pixels' centres of each mask, in pixels; None where a mask is empty."""
    lines, begins, ends = (masks.runs[:, column].astype(np.int64) for column in range(3))
    lengths = ends - begins
    # What comes before each run, and after the last one: a mask's sum is the difference of two, and 0 without a run.
    sums = np.zeros((3, len(lengths) + 1), np.int64)
    np.cumsum((lengths, lines * lengths, (begins + ends - 1) * lengths // 2), axis=1, out=sums[:, 1:])
    pixels, across, along = (sums[:, masks.starts[1:]] - sums[:, masks.starts[:-1]]).tolist()
    centres: list[tuple[float, float] | None] = []
    for count, line, place in zip(pixels, across, along, strict=True):
        middle = (line / count + 0.5, place / count + 0.5) if count else None
        centres.append(middle if middle is None or masks.by_columns else middle[::-1])
    return centres
