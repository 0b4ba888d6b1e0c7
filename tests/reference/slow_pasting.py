"""Masks put where their boxes lie, as torchvision and as detectron2 do it."""

import numpy as np

from reference.arrays import F32, Array
from reference.slow_resize import resize


def paste_torchvision(mask: Array, box: Array, size: tuple[int, int], threshold: float = 0.5) -> Array:
    """One mask (m, m) as torchvision's paste_masks_in_image."""
    picture = np.zeros(size, bool)
    m = mask.shape[0]
    if not np.isfinite(box).all():
        return picture
    padded = np.pad(mask.astype(F32), 1)
    half = (box[2:] - box[:2]) * F32(0.5) * F32((m + 2) / m)
    centre = (box[2:] + box[:2]) * F32(0.5)
    x0, y0 = (int(v) for v in centre - half)
    x1, y1 = (int(v) for v in centre + half)
    width, height = max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1)
    enlarged = resize(padded[None], (height, width))[0] > threshold
    left, right, top, bottom = max(x0, 0), min(x1 + 1, size[1]), max(y0, 0), min(y1 + 1, size[0])
    if left < right and top < bottom:
        picture[top:bottom, left:right] = enlarged[top - y0 : bottom - y0, left - x0 : right - x0]
    return picture


def paste_detectron2(mask: Array, box: Array, size: tuple[int, int], threshold: float = 0.5) -> Array:
    """One mask as detectron2's paste_masks_in_image: grid_sample at pixel centres, zeros outside, float64."""

    def positions(low: float, high: float, length: int, cells: int) -> Array:
        centred = (np.arange(length) + 0.5 - low) / (high - low) * 2 - 1
        return ((centred + 1) * cells - 1) / 2

    padded = np.pad(mask.astype(np.float64), 2)
    ys = positions(float(box[1]), float(box[3]), size[0], mask.shape[0])
    xs = positions(float(box[0]), float(box[2]), size[1], mask.shape[1])

    def weights(at: Array, cells: int) -> Array:
        matrix = np.zeros((len(at), cells + 4))
        for i, position in enumerate(np.clip(at, -2, cells + 0.999)):
            whole = int(np.floor(position))
            matrix[i, whole + 2] += 1 - (position - whole)
            matrix[i, whole + 3] += position - whole
        return matrix

    return weights(ys, mask.shape[0]) @ padded @ weights(xs, mask.shape[1]).T >= threshold
