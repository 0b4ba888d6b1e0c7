"""Antialiased resizing exactly as Pillow does it, for networks that were trained on pictures resized that way.

Pillow's `Image.resize` (src/libImaging/Resample.c) widens the filter by the shrinking factor, rounds the weights to
22 bits, filters along x, rounds to 8 bits, then filters along y. torchvision's antialias=True does the same. (Pillow 13
takes y first where that is cheaper, which moves a few values by some grey levels.)
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

_BITS = 22


def resize_antialias(
    image: npt.NDArray[np.uint8], size: tuple[int, int], *, cubic: bool = False
) -> npt.NDArray[np.uint8]:
    """Return `image` (H, W, C) uint8 resized to `size` (h, w), bit for bit as Pillow's BILINEAR or BICUBIC, x first."""
    if image.shape[1] != size[1]:
        image = _filter(image.transpose(1, 0, 2), size[1], cubic).transpose(1, 0, 2)
    if image.shape[0] != size[0]:
        image = _filter(image, size[0], cubic)
    return np.ascontiguousarray(image)


def _filter(image: npt.NDArray[np.uint8], length: int, cubic: bool) -> npt.NDArray[np.uint8]:
    """Resample axis 0 of `image` to `length`."""
    positions, weights = _taps(image.shape[0], length, cubic)
    image = np.ascontiguousarray(image)
    total = np.full((length, *image.shape[1:]), 1 << (_BITS - 1), np.int32)
    for position, weight in zip(positions, weights, strict=True):
        total += image[position].astype(np.int32) * weight[:, None, None]
    total >>= _BITS
    return np.clip(total, 0, 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _taps(source: int, target: int, cubic: bool) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]:
    """Return source positions and weights (fixed point), each of shape (taps, target)."""
    scale = source / target
    stretch = max(scale, 1.0)
    support = (2.0 if cubic else 1.0) * stretch
    centers = (np.arange(target) + 0.5) * scale
    first = np.maximum((centers - support + 0.5).astype(np.intp), 0)
    last = np.minimum((centers + support + 0.5).astype(np.intp), source)
    positions = first + np.arange(int((last - first).max()))[:, None]
    inside = positions < last
    distance = np.abs((positions - centers + 0.5) / stretch)
    if cubic:
        near = (1.5 * distance - 2.5) * distance * distance + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    else:
        weights = np.maximum(1.0 - distance, 0.0)
    weights = np.where(inside, weights, 0.0)
    weights = weights / weights.sum(axis=0)
    fixed = np.trunc(weights * (1 << _BITS) + np.copysign(0.5, weights)).astype(np.int32)
    return np.where(inside, positions, 0), fixed
