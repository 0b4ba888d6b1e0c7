"""Slow, obvious numpy versions of the post-processing: what the C++ must equal.

Arithmetic follows torch in float32, one rounding where torch fuses a product and a sum. Everything else is written for
reading: whole (K, H, W) tensors, loops over segments.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
F32 = np.float32


class Segment(NamedTuple):
    """As postproc.MergedSegment."""

    id: int
    class_id: int
    score: float
    area: int
    bbox: tuple[int, int, int, int]
    query: int


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


def finite(values: Array) -> Array:
    """NaN as the lowest number, infinities as the largest of their sign."""
    return np.nan_to_num(values.astype(F32), nan=-1e38, posinf=1e38, neginf=-1e38)


def sigmoid(values: Array) -> Array:
    """In float64, rounded once."""
    return (1 / (1 + np.exp(-np.clip(values.astype(np.float64), -87, 88)))).astype(F32)


def softmax(logits: Array) -> Array:
    """Over the last axis."""
    values = np.exp(logits - logits.max(-1, keepdims=True))
    return (values / values.sum(-1, keepdims=True)).astype(F32)


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """x, y, width, height."""
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1


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


def argmax_map(logits: Array, size: tuple[int, int], window: tuple[float, float, float, float] | None = None) -> Array:
    """The first class of the highest interpolated logit."""
    return resize(finite(logits), size, window).argmax(0)


def query_semantic(class_logits: Array, mask_logits: Array, size: tuple[int, int]) -> Array:
    """Interpolated class scores (C, H, W)."""
    scores = np.einsum("qc,qhw->chw", softmax(class_logits)[:, :-1], sigmoid(mask_logits))
    return resize(scores.astype(F32), size)


def query_instances(
    class_logits: Array, mask_logits: Array, size: tuple[int, int], *, top_k: int, activation: str, weigh_by_mask: bool
) -> list[tuple[int, float, Array]]:
    """(class, score, mask) by descending score; empty masks left out."""
    scores = softmax(class_logits)[:, :-1] if activation == "softmax" else sigmoid(class_logits)
    order = np.argsort(-scores.ravel(), kind="stable")[:top_k]
    found = []
    for index in order:
        query, class_id = divmod(int(index), scores.shape[1])
        score = float(scores[query, class_id])
        inside = mask_logits[query] > 0
        if weigh_by_mask:
            score *= float((sigmoid(mask_logits[query]) * inside).sum() / (inside.sum() + 1e-6))
        mask = resize(mask_logits[query : query + 1], size)[0] > 0
        if mask.any():
            found.append((class_id, score, mask))
    return sorted(found, key=lambda item: -item[1])


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


def matrix_nms(masks: Array, scores: Array, class_ids: Array, kernel: str, sigma: float) -> Array:
    """SOLOv2's matrix NMS as mmdet's mask_matrix_nms writes it, scores in input order."""
    if len(masks) == 0:
        return np.zeros(0)
    order = np.argsort(-scores, kind="stable")
    flat = masks[order].reshape(len(masks), -1).astype(np.float64)
    both = flat @ flat.T
    area = flat.sum(1)
    either = area[:, None] + area[None] - both
    iou = np.triu(np.divide(both, either, out=np.zeros_like(both), where=either > 0), 1)
    iou *= class_ids[order][:, None] == class_ids[order][None]
    compensate = iou.max(0)[:, None]
    if kernel == "gaussian":
        decay = np.exp(-sigma * (iou**2 - compensate**2))
    else:
        decay = np.divide(1 - iou, 1 - compensate, out=np.full_like(iou, np.inf), where=compensate < 1)
    out = np.empty(len(masks), np.float64)
    out[order] = scores[order] * decay.min(0)
    return out


def resize_normalize(image: Array, size: tuple[int, int], mean: Array, std: Array, scale: float) -> Array:
    """(3, h, w) in float64 from float32 interpolation."""
    planes = resize(image.transpose(2, 0, 1).astype(F32), size).astype(np.float64)
    return (planes * scale - mean[:, None, None]) / std[:, None, None]
