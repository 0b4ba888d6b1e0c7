"""The results of a source framework's own post-processing as segrt's, for comparison.

transformers' functions take whole grids; where a picture lies in a part of the network's input, they are given that
part, brought to the picture's size (see `shown_part`), which leaves nothing for them to resize.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle
from segrt.runtime.results.semantic import class_map_dtype

Processed = Mapping[str, Any]


def outputs_of(class_logits: torch.Tensor, mask_logits: torch.Tensor) -> Any:
    """Return class logits (N, Q, C+1) and mask logits (N, Q, h, w) under the names that post-processing reads."""
    return SimpleNamespace(
        logits=class_logits,
        pred_masks=mask_logits,
        class_queries_logits=class_logits,
        masks_queries_logits=mask_logits,
        patch_offsets=None,
    )


def shown_part(mask_logits: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Return the part of `mask_logits` (N, Q, h, w) that shows the picture, fit for MaskFormer's post-processing.

    The whole grid is returned as it is. Of a part, the probabilities are interpolated at the picture's pixels, as
    post-processing would do with a grid of that part alone, and returned as logits (N, Q, H, W).
    """
    height, width = geometry.network_size
    if geometry.window == (0.0, 0.0, float(height), float(width)):
        return mask_logits
    size = (mask_logits.shape[2], mask_logits.shape[3])
    top, left, bottom, right = geometry.window_on(size)
    columns = _interpolate(mask_logits.sigmoid(), -1, left, right, geometry.source_size[1])
    return torch.logit(_interpolate(columns, -2, top, bottom, geometry.source_size[0]))


def panoptic_result(processed: Processed, labels: Sequence[Label]) -> PanopticResult:
    """Return a result of `post_process_panoptic_segmentation`, called without classes to fuse, as segrt's.

    `processed` holds `segmentation` (H, W) and `segments_info`. Segments of one stuff class become one here:
    transformers' own fusing gives later segments numbers that are taken already.
    """
    segmentation = processed["segmentation"].cpu().numpy().astype(np.int64)
    ids = np.zeros(segmentation.shape, np.int32)
    stuff: dict[int, int] = {}
    classes_and_scores: dict[int, tuple[int, float]] = {}
    for info in processed["segments_info"]:
        class_id, score = int(info["label_id"]), float(info["score"])
        number = stuff.get(class_id, len(classes_and_scores) + 1)
        if not labels[class_id].isthing:
            stuff[class_id] = number
        classes_and_scores[number] = (class_id, max(score, classes_and_scores.get(number, (0, 0.0))[1]))
        ids[segmentation == int(info["id"])] = number
    segments = [
        _segment(ids, number, class_id, score, labels) for number, (class_id, score) in classes_and_scores.items()
    ]
    return PanopticResult(ids, segments, tuple(labels))


def semantic_result(class_map: torch.Tensor, labels: Sequence[Label]) -> SemanticResult:
    """Return a class map (H, W) as a result."""
    return SemanticResult(class_map.cpu().numpy().astype(class_map_dtype(len(labels))), tuple(labels))


def instance_result(
    masks: npt.NDArray[np.bool_], scores: Sequence[float], class_ids: Sequence[int], labels: Sequence[Label]
) -> InstanceResult:
    """Return masks (N, H, W) with scores and classes as a result, best first."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable") if len(scores) else np.zeros(0, np.intp)
    boxes = np.array([_box(masks[index]) for index in order], np.float32).reshape(-1, 4)
    return InstanceResult(
        boxes,
        np.asarray(scores, np.float32)[order],
        np.asarray(class_ids, np.int64)[order],
        [rle.encode(masks[index]) for index in order],
        (masks.shape[1], masks.shape[2]),
        tuple(labels),
    )


def _interpolate(values: torch.Tensor, axis: int, low: float, high: float, count: int) -> torch.Tensor:
    """Interpolate `values` along `axis` at the centres of `count` pixels between `low` and `high`."""
    length = values.shape[axis]
    position = (low + (torch.arange(count, dtype=torch.float64) + 0.5) * (high - low) / count - 0.5).clamp(
        0, length - 1
    )
    first = position.floor().long()
    second = (first + 1).clamp(max=length - 1)
    weight = (position - first).to(values.dtype)
    weight = weight if axis == -1 else weight[:, None]
    return values.index_select(axis, first) * (1 - weight) + values.index_select(axis, second) * weight


def _segment(ids: npt.NDArray[np.int32], number: int, class_id: int, score: float, labels: Sequence[Label]) -> Segment:
    mask = ids == number
    left, top, right, bottom = _box(mask)
    return Segment(
        number,
        class_id,
        labels[class_id].isthing,
        score,
        int(mask.sum()),
        (left, top, right - left, bottom - top),
    )


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
