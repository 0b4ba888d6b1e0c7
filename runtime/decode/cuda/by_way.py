"""Heads that are brought to the source by way of the network's size (cpp_postproc/cuda/by_way.h)."""

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.launching import AxisMap, axis_map
from segrt.runtime.preprocess.geometry import Geometry

Size = tuple[int, int]
Window = tuple[float, float, float, float]


class ByWay(ctypes.Structure):
    """`ByWay` of cpp_postproc/cuda/by_way.h."""

    _fields_ = (
        ("rows", AxisMap),
        ("columns", AxisMap),
        ("later_rows", AxisMap),
        ("later_columns", AxisMap),
        ("once", ctypes.c_int32),
        ("unused", ctypes.c_int32),
    )


def at_once(grid: Size, window: Window, target: Size) -> ByWay:
    """Return the way without a second resize: `window` of the grid (h, w) on `target` pixels."""
    top, left, bottom, right = window
    rows, columns = axis_map(grid[0], (top, bottom), target[0]), axis_map(grid[1], (left, right), target[1])
    return ByWay(rows, columns, AxisMap(), AxisMap(), 1, 0)


def by_network(grid: Size, geometry: Geometry) -> ByWay:
    """Return the way that `to_source` of the rule goes: the network's size, whole pixels of the window, the source."""
    top, left, bottom, right = (round(edge) for edge in geometry.window)
    part, target = (bottom - top, right - left), geometry.source_size
    first = (_part(grid[0], geometry.network_size[0], top), _part(grid[1], geometry.network_size[1], left))
    if part == target:
        return ByWay(*first, AxisMap(), AxisMap(), 1, 0)
    return ByWay(*first, axis_map(part[0], (0, part[0]), target[0]), axis_map(part[1], (0, part[1]), target[1]), 0, 0)


def by_processed(grid: Size, window: Window, processed: Size | None, target: Size) -> ByWay:
    """Return the way of `argmax_map` with this processed size: see argmax.cpp and `processed_part` of the core."""
    whole = (0.0, 0.0, float(grid[0]), float(grid[1]))
    if processed is None or (window == whole and processed == target):
        return at_once(grid, window, target)
    rows = _cut(grid[0], (window[0], window[2]), processed[0])
    columns = _cut(grid[1], (window[1], window[3]), processed[1])
    return ByWay(
        _part(grid[0], processed[0], rows.begin),
        _part(grid[1], processed[1], columns.begin),
        axis_map(rows.length, rows.shown, target[0]),
        axis_map(columns.length, columns.shown, target[1]),
        0,
        0,
    )


def rows_read(way: ByWay, target_rows: int) -> npt.NDArray[np.uint8]:
    """Return uint8 (h,): 1 for the grid's rows whose values the core counts where they are not finite."""
    used = np.zeros(way.rows.source_length, np.uint8)
    if way.once:
        low = _lows(way.rows, np.arange(target_rows))
        used[low] = used[np.minimum(low + 1, len(used) - 1)] = 1
    else:
        first, last = _lows(way.rows, np.array([0, way.later_rows.source_length - 1]))
        used[first : last + 2] = 1
    return used


def _part(grid: int, length: int, begin: int) -> AxisMap:
    """Return the axis of a whole grid on `length` pixels, from its pixel `begin` on."""
    axis = axis_map(grid, (0, grid), length)
    axis.first = begin
    return axis


@dataclass(frozen=True)
class _Cut:
    """The whole pixels that an extent touches, and where it lies in them."""

    begin: int
    length: int
    shown: tuple[float, float]


def _cut(grid: int, extent: tuple[float, float], length: int) -> _Cut:
    """Return what an extent of a grid touches when the whole grid is shown on `length` pixels."""
    scale = length / grid
    first, last = extent[0] * scale, extent[1] * scale
    begin = min(max(int(first), 0), length - 1)
    end = min(max(int(last + 0.999), begin + 1), length)
    return _Cut(begin, end - begin, (first - begin, last - begin))


def _lows(axis: AxisMap, pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return the upper one of the two source positions of each pixel, as `AxisMap::at` does."""
    centres = (axis.first + pixels).astype(np.float32) + np.float32(0.5)
    positions = np.float32(axis.begin) + (np.float32(axis.scale) * centres - np.float32(0.5))
    low: npt.NDArray[np.int32] = np.clip(positions, np.float32(0), np.float32(axis.source_length - 1)).astype(np.int32)
    return low
