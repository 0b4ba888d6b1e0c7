"""Where target pixels lie in a head's grid, as tables for kernels: bit for bit what the core computes on the host.

Tables are made once for pictures of one geometry; kernels read them instead of computing them for every pixel.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.inference.cuda.device_array import DeviceArray

TAP = np.dtype([("low", "<i4"), ("high", "<i4"), ("low_weight", "<f4"), ("high_weight", "<f4")])
"""`Tap` of cpp_postproc/tap.h: two neighbours on an axis and their weights."""

Taps = npt.NDArray[Any]
Extent = tuple[float, float]
Window = tuple[float, float, float, float]


class TargetTaps(ctypes.Structure):
    """`TargetTaps` of cpp_postproc/cuda/grids.h."""

    _fields_ = (
        ("rows", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
    )

    @property
    def tables(self) -> tuple[ctypes.c_void_p, ctypes.c_void_p]:
        """The tables of rows and columns as parameters of their own."""
        return ctypes.c_void_p(self.rows), ctypes.c_void_p(self.columns)


class Channels(ctypes.Structure):
    """`Channels` of cpp_postproc/cuda/grids.h; the default takes every image of a head in order."""

    _fields_ = (("images", ctypes.c_void_p), ("step", ctypes.c_int32))


def bilinear_taps(source_length: int, extent: Extent, length: int) -> Taps:
    """Return the table (length,) that shows `extent` of a source on `length` pixels: `bilinear_axis` of the core."""
    begin, end = extent
    scale = np.float32(end - begin) / np.float32(length)
    centres = np.arange(length, dtype=np.float32) + np.float32(0.5)
    position = np.maximum(np.float32(begin) + (scale * centres - np.float32(0.5)), np.float32(0))
    last = source_length - 1
    low = np.minimum(position, np.float32(last)).astype(np.int32)
    fraction = np.minimum(position - low.astype(np.float32), np.float32(1))
    taps = np.empty(length, TAP)
    taps["low"], taps["high"] = low, np.minimum(low + 1, last)
    taps["low_weight"], taps["high_weight"] = np.float32(1) - fraction, fraction
    return taps


def nearest_pixels(source_length: int, extent: Extent, length: int) -> npt.NDArray[np.int32]:
    """Return the source pixel (length,) that contains each target pixel's centre: `nearest_axis` of the core."""
    begin, end = extent
    position = begin + (end - begin) / length * (np.arange(length) + 0.5)
    pixels: npt.NDArray[np.int32] = np.clip(np.floor(position), 0, source_length - 1).astype(np.int32)
    return pixels


@dataclass(frozen=True)
class EnlargedPart:
    """A grid enlarged to a processed size, less what lies outside its window: `processed_part` of the core.

    `rows` and `columns` are the tables of what is left; `window` is what the target shows of it.
    """

    rows: Taps
    columns: Taps
    window: Window


def enlarged_part(grid: tuple[int, int], window: Window, processed: tuple[int, int]) -> EnlargedPart:
    """Return the part of `grid` (h, w), enlarged to `processed`, that lies in `window` (of the grid)."""
    top, left, bottom, right = window
    rows, shown_rows = _part(grid[0], (top, bottom), processed[0])
    columns, shown_columns = _part(grid[1], (left, right), processed[1])
    return EnlargedPart(rows, columns, (shown_rows[0], shown_columns[0], shown_rows[1], shown_columns[1]))


def rows_used(taps: Taps, source_length: int) -> npt.NDArray[np.uint8]:
    """Return uint8 (source_length,): 1 for the source rows that a target lies between."""
    used = np.zeros(source_length, np.uint8)
    used[taps["low"]] = used[taps["high"]] = 1
    return used


def upload_target(workspace: Workspace, rows: Taps, columns: Taps) -> TargetTaps:
    """Return tables on the GPU as kernels take them."""
    return TargetTaps(workspace.upload(rows).address, workspace.upload(columns).address, len(rows), len(columns))


def channels_of(images: DeviceArray, step: int) -> Channels:
    """Return `Channels` whose images are every `step`-th int32 of `images`."""
    return Channels(images.address, step)


def _part(grid: int, extent: Extent, processed: int) -> tuple[Taps, Extent]:
    scale = processed / grid
    begin, end = extent[0] * scale, extent[1] * scale
    first = min(max(int(begin), 0), processed - 1)
    stop = min(max(int(end + 0.999), first + 1), processed)
    whole = bilinear_taps(grid, (0.0, float(grid)), processed)
    return np.ascontiguousarray(whole[first:stop]), (begin - first, end - first)
