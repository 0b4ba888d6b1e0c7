"""A time code in the picture: the moment of capture, written as a row of black and white blocks.

What a camera shows reaches us through encoders, sockets and queues, and the time of arrival says nothing of them. A
time that is part of the picture does. The blocks are large enough to survive lossy video and scaling by half.
"""

from itertools import pairwise

import numpy as np

from segrt.runtime.files.images import Picture

_BITS = 40  # 32 bits of milliseconds (49 days, then it begins again), 8 bits of check
_CHECK = 0x5A


def burn(picture: Picture, seconds: float) -> None:
    """Write `seconds` (monotonic, say) into the bottom of `picture`, uint8 BGR (H, W, 3), at least 160 wide."""
    value = int(seconds * 1000) & 0xFFFFFFFF
    word = value << 8 | _sum(value)
    height, width = picture.shape[:2]
    edges = np.linspace(0, width, _BITS + 1).astype(int)
    top = height - _rows(height)
    for bit, (left, right) in enumerate(pairwise(edges)):
        picture[top:, left:right] = 235 if word >> (_BITS - 1 - bit) & 1 else 16


def read(picture: Picture) -> float | None:
    """Return the seconds that `burn` wrote, whole milliseconds modulo 2**32, or None where there is no time code."""
    height, width = picture.shape[:2]
    row = picture[height - (_rows(height) + 1) // 2].mean(axis=1)
    centres = ((np.arange(_BITS) + 0.5) * width / _BITS).astype(int)
    word = int("".join("1" if value > 125 else "0" for value in row[centres]), 2)
    value = word >> 8
    return value / 1000 if _sum(value) == word & 0xFF else None


def _rows(height: int) -> int:
    return max(8, height // 20)


def _sum(value: int) -> int:
    return (sum(value.to_bytes(4, "big")) ^ _CHECK) & 0xFF
