"""Panoptic segments out of centres and offsets, as Panoptic-DeepLab groups them."""

from collections import Counter
from collections.abc import Collection

import numpy as np

from reference.arrays import F32, Array


def find_centers(heatmap: Array, threshold: float, kernel: int, top_k: int) -> Array:
    """(n, 2) y, x of the peaks, in row order: max-pool suppression and a strict limit at the top_k-th value."""
    heat = np.where(heatmap > threshold, heatmap, -1)
    radius = kernel // 2
    padded = np.pad(heat, radius, constant_values=-np.inf)
    pooled = np.max(np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel)), axis=(2, 3))
    heat = np.where(heat == pooled, heat, -1)
    limit = max(np.sort(heat.ravel())[::-1][:top_k][-1], 0) if heat.size >= top_k else 0
    return np.argwhere(heat > limit)


def group_centers(
    semantic: Array,
    heatmap: Array,
    offsets: Array,
    *,
    thing_classes: Collection[int],
    threshold: float = 0.1,
    nms_kernel: int = 7,
    top_k: int = 200,
    stuff_area_limit: int = 2048,
) -> tuple[Array, list[int]]:
    """Panoptic-DeepLab's get_panoptic_segmentation: the map, and the class of each segment."""
    centers = find_centers(heatmap, threshold, nms_kernel, top_k)
    things = np.isin(semantic, list(thing_classes))
    group = np.zeros(semantic.shape, np.int64)
    if len(centers):
        ys, xs = np.mgrid[: semantic.shape[0], : semantic.shape[1]].astype(F32)
        at = np.stack([ys + offsets[0], xs + offsets[1]])
        difference = centers.astype(F32)[:, :, None, None] - at[None]
        group = np.where(things, (difference**2).sum(1).argmin(0) + 1, 0)
    ids = np.zeros(semantic.shape, np.int32)
    classes: list[int] = []
    for number in range(1, len(centers) + 1):
        mask = group == number
        if mask.any():
            votes = Counter(semantic[mask].tolist())
            classes.append(min(votes, key=lambda c: (-votes[c], c)))
            ids[mask] = len(classes)
    for c in np.unique(semantic):
        mask = (semantic == c) & (group == 0)
        if c not in thing_classes and mask.any() and mask.sum() >= stuff_area_limit:
            classes.append(int(c))
            ids[mask] = len(classes)
    return ids, classes
