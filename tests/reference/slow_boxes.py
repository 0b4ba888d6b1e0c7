"""The box of a mask."""

import numpy as np

from reference.arrays import Array


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """x, y, width, height."""
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1
