"""Matched objects or segments of pairs of results: their share, and the panoptic quality."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.authoring.agreement import POSSIBLE, SURE
from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult

MATCHED = 0.5


def matched_share(pairs: Sequence[tuple[Result, Result]]) -> float | None:
    """Return the share of segments, or of sure objects, with a partner on the other side.

    Partners are of one class and overlap with IoU above 0.5; both sides count. Objects are sure as in `agreement`: with
    a score of 0.5 or more, and a partner counts from a score of 0.3 on. None for semantic results, 1 for empty
    ones.
    """
    hits, total = 0, 0
    for ours, theirs in pairs:
        if isinstance(ours, SemanticResult):
            return None
        ious = pairwise_ious(ours, theirs)
        hits += sum(int((ious.max(axis=axis, initial=0.0) > MATCHED).sum()) for axis in (0, 1))
        total += sum(ious.shape)
    return hits / total if total else 1.0


def mutual_quality(pairs: Sequence[tuple[Result, Result]]) -> float | None:
    """Return the panoptic quality of one side against the other, all classes together; None for semantic results."""
    total, halves = 0.0, 0
    for ours, theirs in pairs:
        if isinstance(ours, SemanticResult):
            return None
        ious = pairwise_ious(ours, theirs)
        matched = np.where(ious > MATCHED, ious, 0.0)
        # Objects of one picture may overlap, so that one matches several; each counts once, on either side.
        total += min(float(matched.max(axis, initial=0.0).sum()) for axis in (0, 1))
        halves += sum(ious.shape)
    return total / (halves / 2) if halves else 1.0


def pairwise_ious(ours: Result, theirs: Result) -> npt.NDArray[np.float64]:
    """Return the IoU of every pair of objects, 0 across classes, (N, M): the segments, or the objects that count.

    Two empty masks of one class are the same: IoU 1, as in `agreement`.
    """
    (masks, classes, sure), (rivals, others, sure_others) = _objects(ours), _objects(theirs)
    shared = masks @ rivals.T
    union = masks.sum(1)[:, None] + rivals.sum(1)[None] - shared
    ious = np.where(union > 0, shared / np.maximum(union, 1), 1.0).astype(np.float64)
    ious[classes[:, None] != others[None]] = 0.0
    rows = sure | _unsure_partners(ious[:, sure_others], sure)
    columns = sure_others | _unsure_partners(ious[sure].T, sure_others)
    return ious[rows][:, columns]


def count_objects(result: Result) -> int:
    """Return how many segments, sure objects or classes a result holds."""
    if isinstance(result, SemanticResult):
        return int(np.setdiff1d(result.class_map, [result.void_id]).size)
    return int(_objects(result)[2].sum())


def _unsure_partners(ious: npt.NDArray[np.float64], sure: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which of N objects is the best partner of one of M sure ones that has no sure partner.

    `ious` is (N, M), `sure` (N,).
    """
    alone = ious[:, ious[sure].max(axis=0, initial=0.0) <= MATCHED]
    best = np.zeros(len(ious), bool)
    if alone.size:
        best[alone.argmax(axis=0)[alone.max(axis=0) > MATCHED]] = True
    return best


def _objects(result: Result) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return masks (N, H * W) of 0 and 1, class ids (N,) and who is sure (N,)."""
    if isinstance(result, PanopticResult):
        ids = np.array([segment.id for segment in result.segments], np.int64).reshape(-1, 1)
        classes = [segment.class_id for segment in result.segments]
        masks = (result.segment_ids.reshape(1, -1) == ids).astype(np.float32)
        return masks, np.array(classes, np.int64), np.ones(len(classes), bool)
    assert isinstance(result, InstanceResult)
    possible = result.scores >= POSSIBLE
    shown = result.masks[possible].reshape(int(possible.sum()), result.size[0] * result.size[1])
    classes_shown = np.asarray(result.class_ids)[possible].astype(np.int64)
    return shown.astype(np.float32), classes_shown, np.asarray(result.scores)[possible] >= SURE
