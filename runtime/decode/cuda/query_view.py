"""How a grid over the network's input is shown on the picture, in one step or over a size in between."""

import ctypes
import math

from segrt.runtime.inference.cuda.launching import AxisMap, axis_map
from segrt.runtime.preprocess.geometry import Geometry

Size = tuple[int, int]
Window = tuple[float, float, float, float]  # top, left, bottom, right


class View(ctypes.Structure):
    """`View` of cpp_postproc/cuda/mask_view.h."""

    _fields_ = (
        ("rows", AxisMap),
        ("columns", AxisMap),
        ("first_rows", AxisMap),
        ("first_columns", AxisMap),
        ("stepwise", ctypes.c_int32),
    )


class CellWindow(ctypes.Structure):
    """`CellWindow` of cpp_postproc/cuda/query_masks.cu."""

    _fields_ = (
        ("top", ctypes.c_int32),
        ("bottom", ctypes.c_int32),
        ("left", ctypes.c_int32),
        ("right", ctypes.c_int32),
    )


def view_of(grid: Size, processed: Size | None, geometry: Geometry) -> tuple[View, Window]:
    """Return the view of a grid (h, w), and the window on what is shown last: the grid, or its part in between.

    As `processed_part` of the core: what lies outside the window is cut away between the steps.
    """
    window = geometry.window_on(grid)
    height, width = geometry.source_size
    if processed is None:
        rows = axis_map(grid[0], (window[0], window[2]), height)
        columns = axis_map(grid[1], (window[1], window[3]), width)
        return View(rows, columns, AxisMap(), AxisMap(), 0), window
    down, across = processed[0] / grid[0], processed[1] / grid[1]
    scaled = (window[0] * down, window[1] * across, window[2] * down, window[3] * across)
    return stepwise_view(grid, processed, scaled, geometry.source_size)


def stepwise_view(grid: Size, processed: Size, window: Window, size: Size) -> tuple[View, Window]:
    """Return the view of a grid (h, w) over a size in between, of which `window` is shown, and the window on its part.

    As `stepwise_masks_rle` of the core: what the window does not touch is cut away between the steps.
    """
    first_rows, rows, down = _two_steps(grid[0], processed[0], (window[0], window[2]), size[0])
    first_columns, columns, across = _two_steps(grid[1], processed[1], (window[1], window[3]), size[1])
    return View(rows, columns, first_rows, first_columns, 1), (down[0], across[0], down[1], across[1])


def cells_within(window: Window, shape: Size) -> CellWindow:
    """Return the cells of a grid of `shape` whose centre lies in the window."""
    top, left, bottom, right = window
    return CellWindow(
        max(math.ceil(top - 0.5), 0),
        min(math.floor(bottom - 0.5), shape[0] - 1),
        max(math.ceil(left - 0.5), 0),
        min(math.floor(right - 0.5), shape[1] - 1),
    )


def _two_steps(
    cells: int, processed: int, shown: tuple[float, float], length: int
) -> tuple[AxisMap, AxisMap, tuple[float, float]]:
    begin, end = shown
    cut = min(max(int(begin), 0), processed - 1)
    cut_end = min(max(int(end + 0.999), cut + 1), processed)
    first = axis_map(cells, (0.0, float(cells)), processed)
    first.length, first.first = cut_end - cut, cut
    extent = (begin - cut, end - cut)
    return first, axis_map(cut_end - cut, extent, length), extent
