"""Panoptic segments out of instances and a map of classes, as detectron2 joins them."""

from collections.abc import Sequence

import numpy as np

from reference.arrays import Array


def merge_semantic_instances(
    semantic: Array,
    masks: Array,
    scores: Sequence[float],
    *,
    score_threshold: float = 0.5,
    overlap_threshold: float = 0.5,
    stuff_area_limit: int = 4096,
) -> tuple[Array, list[int]]:
    """detectron2's combine_semantic_and_instance_outputs: the map, and the instances that were painted."""
    ids = np.zeros(semantic.shape, np.int32)
    painted = []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        if scores[i] < score_threshold:
            break
        mask = masks[i].astype(bool)
        taken = mask & (ids > 0)
        if mask.sum() == 0 or taken.sum() / mask.sum() > overlap_threshold:
            continue
        painted.append(int(i))
        ids[mask & (ids == 0)] = len(painted)
    number = len(painted)
    for label in np.unique(semantic):
        mask = (semantic == label) & (ids == 0)
        if label != 0 and mask.any() and mask.sum() >= stuff_area_limit:
            number += 1
            ids[mask] = number
    return ids, painted
