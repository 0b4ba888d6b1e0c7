"""Bilinear interpolation as torch does it, and pictures brought to a network's size with it."""

import numpy as np

from reference.arrays import F32, Array


def fused(a: Array, b: Array, c: Array) -> Array:
    """A float32 product and sum with one rounding.

    The product of two float32 is exact in float64; the sum is rounded to odd, so that rounding it again is harmless.
    """
    product, addend = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = np.asarray(product + addend)
    part = total - product
    error = (product - (total - part)) + (addend - part)
    even = (total.view(np.int64) & 1) == 0
    return np.where((error != 0) & even, np.nextafter(total, np.where(error > 0, np.inf, -np.inf)), total).astype(F32)


def lerp(a: Array, weight_a: Array, b: Array, weight_b: Array) -> Array:
    """One step of torch's bilinear interpolation."""
    return fused(a, weight_a, (b * weight_b).astype(F32))


def axis(source: int, begin: float, end: float, length: int) -> tuple[Array, Array, Array, Array]:
    """Lower and upper source index and their weights for each of `length` target pixels."""
    scale = F32(end - begin) / F32(length)
    position = F32(begin) + (scale * (np.arange(length).astype(F32) + F32(0.5)) - F32(0.5))
    position = np.maximum(position, F32(0))
    low = np.minimum(position.astype(np.int64), source - 1)
    fraction = np.minimum(position - low.astype(F32), F32(1))
    return low, np.minimum(low + 1, source - 1), F32(1) - fraction, fraction


def resize(stack: Array, size: tuple[int, int], window: tuple[float, float, float, float] | None = None) -> Array:
    """Bilinear, align_corners=False: (K, h, w) to (K, H, W). `window` is the part of the grid that is shown."""
    stack = stack.astype(F32)
    height, width = stack.shape[1:]
    top, left, bottom, right = window or (0, 0, height, width)
    low, high, low_weight, high_weight = axis(width, left, right, size[1])
    wide = lerp(stack[:, :, low], low_weight, stack[:, :, high], high_weight)
    low, high, low_weight, high_weight = axis(height, top, bottom, size[0])
    return lerp(wide[:, low], low_weight[:, None], wide[:, high], high_weight[:, None])


def resize_normalize(image: Array, size: tuple[int, int], mean: Array, std: Array, scale: float) -> Array:
    """(3, h, w) in float64 from float32 interpolation."""
    planes = resize(image.transpose(2, 0, 1).astype(F32), size).astype(np.float64)
    return (planes * scale - mean[:, None, None]) / std[:, None, None]
