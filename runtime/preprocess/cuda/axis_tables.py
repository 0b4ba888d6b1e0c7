"""Which source pixels each target pixel of one axis is made of, as the CPU's resizing has them.

What stays the same from frame to frame is kept.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc

Table = npt.NDArray[np.int32]
_KEPT = 64  # of each kind: a stream needs two, a folder of pictures some more


@lru_cache(_KEPT)
def nearest_pixels(source: int, target: int) -> Table:
    """Return the source pixel of each target pixel, (target,), by OpenCV's INTER_NEAREST_EXACT, which is asked."""
    pixels = np.arange(source, dtype=np.float32)[None]
    return _kept(cv2.resize(pixels, (target, 1), interpolation=cv2.INTER_NEAREST_EXACT)[0].astype(np.int32))


@lru_cache(_KEPT)
def fixed_taps(source: int, target: int) -> Table:
    """Return (target, 4): two neighbours and their weights in 1/256, by OpenCV's INTER_LINEAR_EXACT of bytes.

    `interpolationLinear::getCoeffs` of OpenCV's resize.cpp; its softdouble is IEEE's double.
    """
    scale = 1.0 / (target / source)
    position = scale * (np.arange(target) + 0.5) - 0.5
    low = np.floor(position).astype(np.int64)
    inside = (low >= 0) & (low < source - 1)
    high_weight = np.where(inside, np.rint((position - low) * 256), 0).astype(np.int64)
    low = np.clip(low, 0, source - 1)
    high = np.minimum(low + 1, source - 1)
    return _kept(np.stack([low, high, 256 - high_weight, high_weight], axis=1).astype(np.int32))


@lru_cache(_KEPT)
def filter_taps(source: int, target: int, *, cubic: bool) -> Table:
    """Return first, count and weights [tap][target] of Pillow's antialiased resizing, one after the other.

    Pillow leaves an axis that keeps its length as it is; a filter of one tap does the same.
    """
    if source == target:
        whole = np.full(target, 1 << 22, np.int32)
        return _kept(np.concatenate([np.arange(target, dtype=np.int32), np.ones(target, np.int32), whole]))
    first, count, weights = postproc.antialias_taps(source, target, cubic=cubic)
    return _kept(np.concatenate([first, count, weights[:, : int(count.max())].T.ravel()]))


def _kept(table: Table) -> Table:
    table = np.ascontiguousarray(table)
    table.setflags(write=False)
    return table
