"""Zones as pixels of one size of picture, made once for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from segrt.runtime.zones.shapes import Zone


@dataclass(frozen=True, eq=False)
class ZoneMask:
    """The pixels of a zone: `inside` uint8 (h, w), 1 or 0, of the part of the picture that begins at (left, top).

    `height` is the picture's.
    """

    left: int
    top: int
    inside: npt.NDArray[np.uint8]
    height: int

    @property
    def cut(self) -> tuple[slice, slice]:
        """The rows and columns of the part."""
        rows, columns = self.inside.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)

    def meets(self, left: float, top: float, right: float, bottom: float) -> bool:
        """Say whether a box, its edges in pixels, meets the part."""
        rows, columns = self.inside.shape
        return left < self.left + columns and right > self.left and top < self.top + rows and bottom > self.top

    @cached_property
    def inside_before(self) -> npt.NDArray[np.int32]:
        """How many pixels down the columns, from the part's first column on, are inside; int32 (columns * H + 1,)."""
        whole = np.zeros((self.inside.shape[1], self.height), np.int32)
        whole[:, self.cut[0]] = self.inside.T
        return np.concatenate((np.zeros(1, np.int32), np.cumsum(whole.reshape(-1), dtype=np.int32)))


def masks_of(zones: Sequence[Zone], size: tuple[int, int]) -> tuple[ZoneMask, ...]:
    """Return the masks of zones in a picture of `size` (H, W): the pixels whose centres are inside.

    So zones that share an edge share no pixel. One that holds no centre has the pixel in its midst.
    """
    return tuple(_mask_of(zone, size) for zone in zones)


def _mask_of(zone: Zone, size: tuple[int, int]) -> ZoneMask:
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
    return ZoneMask(left, top, np.ascontiguousarray(inside), height)
