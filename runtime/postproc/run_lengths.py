"""Run-length codes of masks, byte-identical with pycocotools."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import ArgumentError, Size, check_masks, checked_size, checked_threads
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import Rle


def encode_rle(masks: NDArray[Any], *, threads: int = 0) -> list[Rle]:
    """COCO run-length codes of masks, byte-identical with pycocotools.

    Args:
        masks: bool or uint8 (not 0 is set), shape (N, H, W).
        threads: the most threads to use.
    """
    check_masks("masks", masks)
    if len(masks) == 0:
        return []
    height, width = checked_size("the masks' (H, W)", masks.shape[1:])
    codes = core.encode_masks(masks, checked_threads(threads))
    return [Rle(size=[height, width], counts=code) for code in codes]


def decode_rle(rles: Sequence[Rle], *, threads: int = 0) -> NDArray[np.bool_]:
    """Masks, bool (N, H, W), of run-length codes that share one size. No codes give shape (0, 0, 0)."""
    size, codes = codes_of(rles)
    out = np.empty((len(codes), *size), np.bool_)
    call_checked(core.decode_masks, codes, out, checked_threads(threads))
    return out


def measure_rle(rles: Sequence[Rle]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Areas (N,) and extents (N, 4) as x0, y0, x1, y1 (edges; 0 when empty) of codes that share one size."""
    size, codes = codes_of(rles)
    if not codes:
        return np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
    areas, boxes = call_checked(core.measure_codes, codes, size)
    return areas, boxes


def codes_of(rles: Sequence[Rle]) -> tuple[Size, list[bytes]]:
    """Return the size that the codes share, and their bytes."""
    if not rles:
        return (0, 0), []
    size = checked_size("size of the codes", rles[0]["size"])
    for rle in rles:
        if tuple(rle["size"]) != size:
            raise ArgumentError(f"rles must share one size, got {list(size)} and {rle['size']}")
        if not isinstance(rle["counts"], bytes):
            raise ArgumentError(f"rles must have packed counts (bytes), got {type(rle['counts']).__name__}: pack them")
    return size, [rle["counts"] for rle in rles]
