"""The colours of the pixels under masks, counted in the core."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.mask_runs import MaskRuns


def color_counts(image: NDArray[Any], masks: MaskRuns, looked_at: int) -> NDArray[np.float64]:
    """Return how many pixels under each mask have which of 512 colours, (N, 512), each row's sum the mask's area.

    `image` is uint8 BGR (H, W, 3). Colours are eight levels of blue, then green, then red. A pixel counts for the eight
    colours around its own, by nearness, so that noise and light move counts a little and not from one colour to the
    next. Of a mask of more than `looked_at` pixels every k-th stands for all.
    """
    picture = np.ascontiguousarray(image)
    counts: NDArray[np.float64] = call_checked(
        core.color_counts, picture, masks.runs, masks.starts, masks.by_columns, looked_at
    )
    return counts
