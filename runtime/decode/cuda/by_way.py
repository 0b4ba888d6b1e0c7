"""Heads that are brought to the source by way of the network's size (cpp_postproc/cuda/by_way.h)."""

import ctypes

from segrt.runtime.inference.cuda.launching import AxisMap, axis_map
from segrt.runtime.preprocess.geometry import Geometry

Size = tuple[int, int]


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


def by_network(grid: Size, geometry: Geometry) -> ByWay:
    """Return the way that `to_source` of the rule goes: the network's size, whole pixels of the window, the source."""
    top, left, bottom, right = (round(edge) for edge in geometry.window)
    part, target = (bottom - top, right - left), geometry.source_size
    first = (_part(grid[0], geometry.network_size[0], top), _part(grid[1], geometry.network_size[1], left))
    if part == target:
        return ByWay(*first, AxisMap(), AxisMap(), 1, 0)
    return ByWay(*first, axis_map(part[0], (0, part[0]), target[0]), axis_map(part[1], (0, part[1]), target[1]), 0, 0)


def _part(grid: int, length: int, begin: int) -> AxisMap:
    """Return the axis of a whole grid on `length` pixels, from its pixel `begin` on."""
    axis = axis_map(grid, (0, grid), length)
    axis.first = begin
    return axis
