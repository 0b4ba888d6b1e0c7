"""Panoptic segments out of queries: the rules "maskformer" and "eomt", and DETR's own."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from reference.arrays import F32, Array
from reference.slow_boxes import box_of
from reference.slow_resize import resize
from reference.slow_scores import finite, sigmoid, softmax


class Segment(NamedTuple):
    """As postproc.MergedSegment."""

    id: int
    class_id: int
    score: float
    area: int
    bbox: tuple[int, int, int, int]
    query: int


def merge_queries(
    class_logits: Array,
    mask_logits: Array,
    size: tuple[int, int],
    *,
    rule: str,
    score_threshold: float = 0.5,
    overlap_threshold: float = 0.8,
    stuff_classes: Collection[int] = (),
    window: tuple[float, float, float, float] | None = None,
) -> tuple[Array, list[Segment]]:
    """Rules "maskformer" and "eomt" as described; stuff of one class is one segment."""
    scores = softmax(finite(class_logits))
    labels = scores.argmax(-1)
    kept = [
        q for q in range(len(scores)) if labels[q] != scores.shape[1] - 1 and scores[q, labels[q]] > score_threshold
    ]
    ids = np.zeros(size, np.int32)
    if not kept:
        return ids, []
    weights = np.array([scores[q, labels[q]] for q in kept], F32)[:, None, None]
    logits = finite(mask_logits[kept])
    if rule == "maskformer":
        values = resize(sigmoid(logits), size, window) * weights
        claims = values >= 0.5
        shown = np.ones(values.shape, bool)
    else:
        probabilities = sigmoid(resize(logits, size, window))
        values = probabilities * weights
        claims = shown = probabilities >= 0.5
    winner = values.argmax(0)
    parts: list[tuple[Array, list[int]]] = []
    for k, query in enumerate(kept):
        won = winner == k
        visible = won & shown[k]
        if not won.any() or not claims[k].any() or not visible.any():
            continue
        if not float(F32(won.sum()) / F32(claims[k].sum())) > overlap_threshold:
            continue
        same = [part for part in parts if labels[part[1][0]] == labels[query] and labels[query] in stuff_classes]
        if same:
            same[0][0][visible] = True
            same[0][1].append(query)
        else:
            parts.append((visible.copy(), [query]))
    segments = []
    for number, (mask, queries) in enumerate(parts, 1):
        ids[mask] = number
        best = max(queries, key=lambda q: (scores[q, labels[q]], -q))
        score = float(scores[best, labels[best]])
        segments.append(Segment(number, int(labels[best]), score, int(mask.sum()), box_of(mask), best))
    return ids, segments


def merge_detr(
    class_logits: Array,
    mask_logits: Array,
    size: tuple[int, int],
    *,
    score_threshold: float = 0.85,
    stuff_classes: Collection[int] = (),
    processed_size: tuple[int, int] | None = None,
    compat: bool = False,
) -> tuple[Array, list[int]]:
    """facebookresearch/detr's PostProcessPanoptic: the map (1 + index of the segment) and the segments' classes."""
    scores = softmax(finite(class_logits))
    labels = scores.argmax(-1)
    kept = [
        q for q in range(len(scores)) if labels[q] != scores.shape[1] - 1 and scores[q, labels[q]] > score_threshold
    ]
    processed = processed_size or size
    rows = np.minimum(((np.arange(size[0]) + 0.5) * processed[0] / size[0]).astype(int), processed[0] - 1)
    columns = np.minimum(((np.arange(size[1]) + 0.5) * processed[1] / size[1]).astype(int), processed[1] - 1)
    fuse = True
    while kept:
        winner = resize(finite(mask_logits[kept]), processed).argmax(0)
        group = list(range(len(kept)))
        for k, query in enumerate(kept):
            if fuse and labels[query] in stuff_classes:
                group[k] = next(j for j, other in enumerate(kept) if labels[other] == labels[query])
        segments = np.array(group)[winner][rows][:, columns]
        areas = [int((segments == (k if compat else group[k])).sum()) for k in range(len(kept))]
        if min(areas) > 4:
            firsts = [k for k in range(len(kept)) if group[k] == k]
            ids = np.zeros(size, np.int32)
            for number, k in enumerate(firsts, 1):
                ids[segments == k] = number
            return ids, [int(labels[kept[k]]) for k in firsts]
        kept = [query for query, area in zip(kept, areas, strict=True) if area > 4]
        fuse = not compat
    return np.zeros(size, np.int32), []
