"""Zones as pixels of one size of picture, made once for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns
from segrt.runtime.zones.shapes import Zone


class ZoneMasks:
    """The pixels of zones in a picture of `size` (H, W), as runs: those whose centres are inside.

    So zones that share an edge share no pixel. One that holds no centre has the pixel in its midst.
    """

    def __init__(self, zones: Sequence[Zone], size: tuple[int, int]) -> None:
        self._zones, self._size = tuple(zones), size
        self._runs: dict[bool, MaskRuns] = {}

    def runs(self, *, by_columns: bool) -> MaskRuns:
        """Return the zones' masks, lines of one kind, made when they are first asked for."""
        if by_columns not in self._runs:
            masks = [_lines_of(mask_of(zone, self._size), by_columns) for zone in self._zones]
            self._runs[by_columns] = MaskRuns.of_parts(masks, by_columns=by_columns)
        return self._runs[by_columns]


@dataclass(frozen=True, eq=False)
class ZoneMask:
    """The pixels of a zone: `inside` uint8 (h, w), 1 or 0, of the part of the picture that begins at (left, top)."""

    left: int
    top: int
    inside: npt.NDArray[np.uint8]

    @property
    def cut(self) -> tuple[slice, slice]:
        """The rows and columns of the part."""
        rows, columns = self.inside.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


def _lines_of(mask: ZoneMask, by_columns: bool) -> npt.NDArray[np.int32]:
    """Return a mask's runs, int32 (R, 3), in the whole picture."""
    inside, line, along = mask.inside, mask.top, mask.left
    if by_columns:
        inside, line, along = inside.T, along, line
    runs = MaskRuns.of_map(np.ascontiguousarray(inside), [1]).runs
    return runs + np.array([line, along, along], np.int32)


def mask_of(zone: Zone, size: tuple[int, int]) -> ZoneMask:
    """Return the mask of one zone in a picture of `size` (H, W)."""
    height, width = size
    corners = np.array(zone.polygon, np.float64) * (width, height)
    left, top = (int(edge) for edge in np.clip(np.floor(corners.min(axis=0)), 0, (width - 1, height - 1)))
    right, bottom = (int(edge) for edge in np.clip(np.ceil(corners.max(axis=0)), (left + 1, top + 1), (width, height)))
    middles = np.arange(top, bottom) + 0.5
    # Each edge that a row's middle line crosses begins or ends the inside there; the last column takes what is beyond.
    turns = np.zeros((bottom - top, right - left + 1), np.uint8)
    for (x, y), (to_x, to_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        rows = np.flatnonzero((middles >= min(y, to_y)) & (middles < max(y, to_y)))
        if rows.size:
            crossed = x + (middles[rows] - y) * (to_x - x) / (to_y - y)
            columns = np.clip(np.ceil(crossed - 0.5) - left, 0, right - left).astype(np.int64)
            turns[rows, columns] ^= 1
    inside = np.bitwise_xor.accumulate(turns, axis=1)[:, :-1]
    if not inside.any():
        x, y = corners.mean(axis=0)
        inside[min(int(y), bottom - 1) - top, min(int(x), right - 1) - left] = 1
    return ZoneMask(left, top, np.ascontiguousarray(inside))
