"""COCO run-length encoding of single masks: the compressed form of pycocotools, byte for byte.

A mask is read column by column; the counts are the lengths of alternating runs of 0 and 1, beginning with 0, packed
into ASCII (cocoapi, common/maskApi.c, rleToString).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns, Rle, decode_rle, encode_rle, measure_rle

__all__ = ["Rle", "area", "decode", "decode_all", "encode", "encode_id", "measure", "text"]


def encode(mask: npt.NDArray[Any]) -> Rle:
    """Encode `mask`, bool or uint8 (H, W), anything but 0 being inside."""
    return encode_rle(mask[None], threads=1)[0]


def decode(encoded: Rle) -> npt.NDArray[np.bool_]:
    """Decode to bool (H, W); raise ValueError when the runs do not fill the size."""
    mask: npt.NDArray[np.bool_] = decode_rle([encoded], threads=1)[0]
    return mask


def decode_all(encoded: Sequence[Rle], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Decode masks of one `size` (H, W) to bool (N, H, W); N may be 0."""
    return decode_rle(encoded) if encoded else np.zeros((0, *size), dtype=np.bool_)


def encode_id(ids: npt.NDArray[Any], value: int, bbox: tuple[int, int, int, int], area: int) -> Rle:
    """Encode where a map of ids (H, W) has `value`, looking at no more of it than `bbox` (x, y, width, height).

    Where the box does not hold `area` such pixels, it is wrong, and all of the map is looked at.
    """
    x, y, width, height = bbox
    part = ids[y : y + height, x : x + width] == value
    if min(x, y) < 0 or np.count_nonzero(part) != area or not area:
        return encode(ids == value)
    return MaskRuns.of_rles([encode(part)]).moved(x, y).codes((ids.shape[0], ids.shape[1]))[0]


def area(encoded: Rle) -> int:
    """Return the number of pixels inside."""
    return int(measure_rle([encoded])[0][0])


def measure(encoded: Sequence[Rle]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the areas (N,) in pixels and the extents (N, 4) as x0, y0, x1, y1 of masks of one size; 0 when empty."""
    return measure_rle(encoded)


def text(encoded: Rle | Mapping[str, Any]) -> dict[str, Any]:
    """Return the code as JSON has it, {"size": [H, W], "counts": ASCII text}; counts that are text already stay."""
    counts = encoded["counts"]
    return {"size": list(encoded["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}
