"""What the rules that begin with boxes share: parameters of their kernels, and the keys that detections rank by."""

import ctypes

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.preprocess.geometry import Geometry

_TYPES = ("float32", "float16", "uint8", "int32", "int64")
# `DetectionState` of cpp_postproc/cuda/detections.h
CANDIDATES, KEPT, BAD = range(3)
STATE = 6


class Numbers(ctypes.Structure):
    """`Floats` or `Integers` of cpp_postproc/cuda/detections.h: a head of any of its types."""

    _fields_ = (("values", ctypes.c_void_p), ("type", ctypes.c_int32))


class BoxMap(ctypes.Structure):
    """`BoxMap` of cpp_postproc/cuda/detections.h."""

    _fields_ = (
        ("left", ctypes.c_float),
        ("top", ctypes.c_float),
        ("across", ctypes.c_float),
        ("down", ctypes.c_float),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
    )


def numbers(head: DeviceArray) -> Numbers:
    """Return the head as kernels take it."""
    return Numbers(head.address, _TYPES.index(head.dtype.name))


def box_map(geometry: Geometry) -> BoxMap:
    """Return the way of boxes from the network's input to the picture, as `Geometry.boxes_to_source` goes it."""
    top, left, bottom, right = geometry.window
    height, width = geometry.source_size
    return BoxMap(left, top, width / (right - left), height / (bottom - top), height, width)


def scores_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    """Return the scores that keys hold (`key_of` of cpp_postproc/cuda/rank.h)."""
    scores: npt.NDArray[np.float32] = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return scores


def indices_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the indices that keys hold."""
    indices: npt.NDArray[np.int64] = 0xFFFFFFFF - (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return indices
