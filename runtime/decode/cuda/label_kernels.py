"""How kernels that label a target are launched (cpp_postproc/cuda/label_regions.h)."""

import ctypes

from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.interface import Shape
from segrt.runtime.inference.cuda.launching import tiles

BLOCK: Shape = (32, 4, 1)
_TILE = (32, 32)  # pixels of a block


class LabelMap(ctypes.Structure):
    """`LabelMap` of the kernels."""

    _fields_ = (("data", ctypes.c_void_p), ("is_wide", ctypes.c_int32))


def label_grid(size: tuple[int, int]) -> Shape:
    """Return the grid of blocks for a target of `size` (H, W)."""
    height, width = size
    return tiles(width, height, *_TILE)


def label_map(labels: DeviceArray) -> LabelMap:
    """Return `labels`, uint8 or uint16 (H, W), as kernels take it."""
    return LabelMap(labels.address, labels.dtype.itemsize - 1)
