"""COCO run-length encoding of masks: the compressed form of pycocotools, byte for byte.

A mask is read column by column; the counts are the lengths of alternating runs of 0 and 1, beginning with 0. Each
count from the fourth on is stored as the difference to the one two before, and each number as groups of five bits,
low groups first, bit 5 saying "more follows", plus 48 to make it ASCII (cocoapi, common/maskApi.c, rleToString).
"""

from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt


class Rle(TypedDict):
    """One mask: `size` [H, W], `counts` the compressed runs in ASCII."""

    size: list[int]
    counts: bytes


def encode(mask: npt.NDArray[Any]) -> Rle:
    """Encode `mask`, bool or uint8 (H, W), anything but 0 being inside."""
    if mask.ndim != 2:
        raise ValueError(f"mask must have shape (H, W), but got {mask.shape}")
    height, width = mask.shape
    return {"size": [int(height), int(width)], "counts": compress(runs(mask))}


def decode(rle: Rle) -> npt.NDArray[np.bool_]:
    """Decode to bool (H, W); raise ValueError when the runs do not fill the size."""
    height, width = (int(side) for side in rle["size"])
    counts = decompress(rle["counts"])
    if int(counts.sum()) != height * width:
        raise ValueError(
            f"runs of an RLE of size {[height, width]} must add up to {height * width}, but got {counts.sum()}"
        )
    inside = np.zeros(len(counts), dtype=np.bool_)
    inside[1::2] = True
    mask: npt.NDArray[np.bool_] = np.repeat(inside, counts).reshape(width, height).T
    return mask


def area(rle: Rle) -> int:
    """Return the number of pixels inside."""
    return int(decompress(rle["counts"])[1::2].sum())


def runs(mask: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the run lengths of `mask` (H, W) in column order, beginning with the zeros (that run may be 0)."""
    flat = (mask != 0).T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0], changes, [flat.size]))
    lengths = np.diff(edges).astype(np.int64)
    if flat.size and flat[0]:
        lengths = np.concatenate((np.zeros(1, np.int64), lengths))
    return lengths


def compress(counts: npt.NDArray[np.int64]) -> bytes:
    """Return run lengths as COCO's ASCII string."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    out = bytearray()
    for value in values.tolist():
        more = True
        while more:
            group = value & 0x1F
            value >>= 5
            more = value != -1 if group & 0x10 else value != 0
            out.append((group | 0x20 if more else group) + 48)
    return bytes(out)


def decompress(text: bytes | str) -> npt.NDArray[np.int64]:
    """Return the run lengths of COCO's ASCII string; raise ValueError for a string that is none."""
    data = text.encode("ascii") if isinstance(text, str) else bytes(text)
    counts: list[int] = []
    position = 0
    while position < len(data):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(data) or not 0 <= data[position] - 48 < 64:
                raise ValueError(f"counts of an RLE must be COCO's ASCII runs, but are damaged at byte {position}")
            group = data[position] - 48
            value |= (group & 0x1F) << shift
            more = bool(group & 0x20)
            position += 1
            shift += 5
            if not more and group & 0x10:
                value |= -1 << shift
        if len(counts) > 2:
            value += counts[-2]
        if value < 0:
            raise ValueError(f"runs of an RLE must be at least 0, but run {len(counts)} is {value}")
        counts.append(value)
    return np.asarray(counts, dtype=np.int64)
