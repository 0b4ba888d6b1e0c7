"""Large maps of ids in bands of rows: what is looked at together stays small, whatever the picture's size."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns

_BAND_PIXELS = 1 << 22


def bands(size: tuple[int, int]) -> Iterator[slice]:
    """Yield the rows of a map of `size` (H, W), some at a time."""
    rows = max(1, _BAND_PIXELS // size[1])
    for top in range(0, size[0], rows):
        yield slice(top, min(top + rows, size[0]))


def smallest_type(highest: int) -> "np.dtype[Any]":
    """Return the smallest type of a panoptic map that holds ids up to `highest`."""
    return np.dtype(np.uint8 if highest < 1 << 8 else np.uint16 if highest < 1 << 16 else np.int32)


def measured(ids: npt.NDArray[Any], highest: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pixels and the extent x0, y0, x1, y1 of each id of a map, rows 0 to `highest`; 0 is not looked at."""
    areas = np.zeros(highest + 1, np.int64)
    extents = np.array([[ids.shape[1], ids.shape[0], 0, 0]] * (highest + 1), np.int64)
    for rows in bands((ids.shape[0], ids.shape[1])):
        part = ids[rows]
        runs = MaskRuns.of_map(part, range(1, highest + 1))
        counts, edges = runs.measure()
        present = np.flatnonzero(counts)
        areas[1:] += counts
        edges = edges[present] + np.array([0, rows.start, 0, rows.start])
        extents[present + 1, :2] = np.minimum(extents[present + 1, :2], edges[:, :2])
        extents[present + 1, 2:] = np.maximum(extents[present + 1, 2:], edges[:, 2:])
    return areas, extents
