"""Masks out of prototypes and coefficients, in the ways that ultralytics has had."""

import numpy as np

from reference.arrays import F32, Array
from reference.slow_resize import resize


def prototype_mask(prototypes: Array, coefficients: Array, box: Array, size: tuple[int, int]) -> Array:
    """One mask as ultralytics 8.4's process_mask with upsample=True: enlarged, then cut at its box."""
    logits = np.einsum("p,phw->hw", coefficients.astype(np.float64), prototypes.astype(np.float64)).astype(F32)
    return (resize(logits[None], size)[0] > 0) & _inside(box, size)


def prototype_mask_cut_first(prototypes: Array, coefficients: Array, box: Array, size: tuple[int, int]) -> Array:
    """The same as ultralytics up to 8.3 and YOLOv5 have it: the grid is 0 outside the box before it is enlarged."""
    height, width = prototypes.shape[1:]
    logits = np.einsum("p,phw->hw", coefficients.astype(np.float64), prototypes.astype(np.float64)).astype(F32)
    scale = np.array([F32(width) / F32(size[1]), F32(height) / F32(size[0])] * 2, F32)
    return resize((logits * _inside(box * scale, (height, width)))[None], size)[0] > 0


def prototype_mask_native(
    prototypes: Array, coefficients: Array, box: Array, window: tuple[int, int, int, int], size: tuple[int, int]
) -> Array:
    """As ultralytics 8.4's process_mask_native: as `prototype_mask`, of a part of the grid, cut out on whole cells.

    `window` is (top, left, bottom, right) in pixels of the network, which has four for each cell.
    """
    logits = np.einsum("p,phw->hw", coefficients.astype(np.float64), prototypes.astype(np.float64)).astype(F32)
    factor = next(factor for factor in (1, 2, 4) if not any(edge * factor % 4 for edge in window))
    large = resize(logits[None], (logits.shape[0] * factor, logits.shape[1] * factor))
    top, left, bottom, right = (edge * factor // 4 for edge in window)
    return (resize(large[:, top:bottom, left:right], size)[0] > 0) & _inside(box, size)


def _inside(box: Array, size: tuple[int, int]) -> Array:
    x0, y0, x1, y1 = box
    xs, ys = np.arange(size[1]), np.arange(size[0])
    return ((ys >= y0) & (ys < y1))[:, None] & ((xs >= x0) & (xs < x1))[None]
