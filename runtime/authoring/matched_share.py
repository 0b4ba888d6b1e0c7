"""Matched objects or segments of pairs of results: their share, and the panoptic quality."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult

MATCHED = 0.5


def matched_share(pairs: Sequence[tuple[Result, Result]]) -> float | None:
    """Return the share of segments, or of objects with a score of 0.5 or more, with a partner on the other side.

    Partners are of one class and overlap with IoU above 0.5; both sides count. None for semantic results, 1 for empty
    ones.
    """
    hits, total = 0, 0
    for ours, theirs in pairs:
        if isinstance(ours, SemanticResult):
            return None
        ious, sides = pairwise_ious(ours, theirs)
        hits += sum(int((ious.max(axis=axis, initial=0.0) > MATCHED).sum()) for axis in (0, 1))
        total += sides
    return hits / total if total else 1.0


def mutual_quality(pairs: Sequence[tuple[Result, Result]]) -> float | None:
    """Return the panoptic quality of one side against the other, all classes together; None for semantic results."""
    total, halves = 0.0, 0
    for ours, theirs in pairs:
        if isinstance(ours, SemanticResult):
            return None
        ious, sides = pairwise_ious(ours, theirs)
        matched = np.where(ious > MATCHED, ious, 0.0)
        # Objects of one picture may overlap, so that one matches several; each counts once, on either side.
        total += min(float(matched.max(axis, initial=0.0).sum()) for axis in (0, 1))
        halves += sides
    return total / (halves / 2) if halves else 1.0


def pairwise_ious(ours: Result, theirs: Result) -> tuple[npt.NDArray[np.float64], int]:
    """Return the IoU of every pair of objects, 0 across classes, (N, M); and how many there are on both sides."""
    (masks, classes), (rivals, others) = _objects(ours), _objects(theirs)
    shared = masks @ rivals.T
    union = masks.sum(1)[:, None] + rivals.sum(1)[None] - shared
    ious = np.where(union > 0, shared / np.maximum(union, 1), 0.0).astype(np.float64)
    ious[classes[:, None] != others[None]] = 0.0
    return ious, len(masks) + len(rivals)


def count_objects(result: Result) -> int:
    """Return how many segments, sure objects or classes a result holds."""
    if isinstance(result, SemanticResult):
        return int(np.setdiff1d(result.class_map, [result.void_id]).size)
    return len(_objects(result)[0])


def _objects(result: Result) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return masks (N, H * W) of 0 and 1, and class ids (N,)."""
    if isinstance(result, PanopticResult):
        ids = np.array([segment.id for segment in result.segments], np.int64).reshape(-1, 1)
        classes = [segment.class_id for segment in result.segments]
        return (result.segment_ids.reshape(1, -1) == ids).astype(np.float32), np.array(classes, np.int64)
    assert isinstance(result, InstanceResult)
    sure = result.scores >= MATCHED
    masks = result.masks[sure].reshape(int(sure.sum()), result.size[0] * result.size[1])
    return masks.astype(np.float32), np.asarray(result.class_ids)[sure].astype(np.int64)
