"""What launches of segrt's kernels share: parameters as the kernels declare them, and grids that cover a picture."""

import ctypes

import numpy as np

from segrt.runtime.inference.cuda.interface import Shape


class AxisMap(ctypes.Structure):
    """`AxisMap` of cpp_postproc/cuda/axis.h."""

    _fields_ = (
        ("begin", ctypes.c_float),
        ("scale", ctypes.c_float),
        ("source_length", ctypes.c_int32),
        ("length", ctypes.c_int32),
        ("first", ctypes.c_int32),
    )


def axis_map(source_length: int, extent: tuple[float, float], length: int) -> AxisMap:
    """Return the axis that shows `extent` of a source on `length` pixels, in float32 as `bilinear_axis` computes it."""
    begin, end = extent
    scale = np.float32(end - begin) / np.float32(length)
    return AxisMap(np.float32(begin), scale, source_length, length, 0)


def tiles(width: int, height: int, tile_width: int, tile_height: int) -> Shape:
    """Return the grid of blocks that covers width x height pixels."""
    return -(-width // tile_width), -(-height // tile_height), 1


def block_of(work: int) -> Shape:
    """Return a block of one dimension for so much work: whole warps, at most 1024 threads."""
    return min(-(-max(work, 1) // 32) * 32, 1024), 1, 1


def blocks(work: int, threads: int) -> int:
    """Return how many blocks of so many threads there must be, at least one."""
    return max(-(-work // threads), 1)
