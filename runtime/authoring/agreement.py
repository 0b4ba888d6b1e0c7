"""Agreement of two results of one picture, from 0 to 1."""

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult

SURE = 0.5
POSSIBLE = 0.3


def agreement(golden: Result, result: Result) -> float:
    """Return the agreement of `result` with `golden`, both of one technique and size.

    Semantic: the share of pixels with the same class. Panoptic: the share of pixels that are void in both or lie in
    segments of one class that match at IoU > 0.5 (such matches are unique). Instance: for every object with a score
    of 0.5 or more on either side, the best IoU with an object of its class and a score of 0.3 or more on the
    other; their mean. The gap between the two scores keeps an object at the threshold from counting as lost.
    """
    if isinstance(golden, SemanticResult) and isinstance(result, SemanticResult):
        return float(np.mean(golden.class_map == result.class_map))
    if isinstance(golden, PanopticResult) and isinstance(result, PanopticResult):
        return _panoptic(golden, result)
    if isinstance(golden, InstanceResult) and isinstance(result, InstanceResult):
        return _instance(golden, result)
    raise ValueError(f"results must be of one technique, but got {type(golden).__name__} and {type(result).__name__}")


def _panoptic(golden: PanopticResult, result: PanopticResult) -> float:
    classes = {segment.id: segment.class_id for segment in golden.segments} | {0: -1}
    others = {segment.id: segment.class_id for segment in result.segments} | {0: -1}
    ids, areas = np.unique(golden.segment_ids, return_counts=True)
    other_ids, other_areas = np.unique(result.segment_ids, return_counts=True)
    area, other_area = dict(zip(ids, areas, strict=True)), dict(zip(other_ids, other_areas, strict=True))
    pairs, shared = np.unique(
        np.stack([golden.segment_ids.ravel(), result.segment_ids.ravel()]), axis=1, return_counts=True
    )
    same = 0
    for left, right, count in zip(*pairs, shared, strict=True):
        if left == 0 or right == 0:
            same += int(count) if left == right else 0
        elif classes[int(left)] == others[int(right)] and 2 * count > area[left] + other_area[right] - count:
            same += int(count)
    return same / golden.segment_ids.size


def _instance(golden: InstanceResult, result: InstanceResult) -> float:
    best = np.concatenate([_best_ious(golden, result), _best_ious(result, golden)])
    return float(best.mean()) if best.size else 1.0


def _best_ious(objects: InstanceResult, others: InstanceResult) -> npt.NDArray[np.float64]:
    sure, possible = objects.scores >= SURE, others.scores >= POSSIBLE
    pixels = objects.size[0] * objects.size[1]
    masks = objects.masks[sure].reshape(-1, pixels).astype(np.float32)
    rivals = others.masks[possible].reshape(-1, pixels).astype(np.float32)
    if not len(masks) or not len(rivals):
        return np.zeros(len(masks))
    shared = masks @ rivals.T
    union = masks.sum(1)[:, None] + rivals.sum(1)[None] - shared
    iou = np.where(union > 0, shared / np.maximum(union, 1), 1.0)
    iou[objects.class_ids[sure][:, None] != others.class_ids[possible][None]] = 0
    best: npt.NDArray[np.float64] = iou.max(axis=1).astype(np.float64)
    return best
