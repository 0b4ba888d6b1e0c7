"""Detections of two runs of one network, paired: rounding may swap them, and lose one that stands at an edge.

Networks that suppress in their graph (Mask R-CNN) give detections by falling score, the best so many. Two of nearly
one score may change places, and where a box stands at suppression's own threshold, one run keeps what the other does
not: all behind it then lie a row further, and the last row is another one. Comparing row by row would call that wrong.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.tensors import Array

ROLES = ("boxes", "scores", "class_ids")
_SAME_BOX = 0.5  # IoU
_SUPPRESSES = 0.3  # IoU above which detectors suppress at the strictest (Matterport's Mask R-CNN)
_LEAST_SCORE = 0.05  # below which detectors keep nothing, so that what is just above may be lost
_LEAST_PAIRED = 0.5  # of the detections, else these are others, however sure all of them are
_SUPPRESSED = 0.02  # of the detections may be kept in one run alone


def paired_detections(
    wanted: Mapping[str, Array], actual: Mapping[str, Array], tolerance: float
) -> dict[str, Array] | None:
    """Return `actual` with each detection in the row of its partner in `wanted`; None where these are no detections.

    Both map roles to arrays without batch axis: `boxes` (N, 4) xyxy, `scores` (N,), `class_ids` (N,), and others of N
    rows. Partners are of one class and overlap with an IoU above 0.5. One without a partner is none at all where its
    score is within `tolerance` of the least that the other side has kept, or where one that the other side alone has,
    of its class and score, overlaps it so that one of the two suppresses the other, or is one in fifty; its row is then
    that of `wanted`. Any other makes all scores NaN, which no limit allows, and so do detections of which half have no
    partners.
    """
    if not set(ROLES) <= set(wanted) or not set(ROLES) <= set(actual):
        return None
    if any(actual[role].shape != wanted[role].shape for role in wanted) or wanted["boxes"].shape[-1] != 4:
        return None
    if wanted["scores"].ndim != 1 or not np.isfinite(actual["scores"]).all() or not np.isfinite(actual["boxes"]).all():
        return None
    rows, partners = _pairs(wanted, actual)
    lost = np.setdiff1d(np.flatnonzero(wanted["scores"] > 0), rows)
    more = np.setdiff1d(np.flatnonzero(actual["scores"] > 0), partners)
    lost_wrong = lost[wanted["scores"][lost] > _edge(actual["scores"]) + tolerance]
    more_wrong = more[actual["scores"][more] > _edge(wanted["scores"]) + tolerance]
    lost_wrong, more_wrong = _without_rivals(lost_wrong, more_wrong, wanted, actual, tolerance)
    least = min(int((side["scores"] > 0).sum()) for side in (wanted, actual))
    paired = {role: wanted[role].astype(actual[role].dtype) for role in wanted}
    for role, array in paired.items():
        array[rows] = actual[role][partners]
    if len(rows) < _LEAST_PAIRED * least or max(len(lost_wrong), len(more_wrong)) > int(_SUPPRESSED * least):
        paired["scores"] = np.full(paired["scores"].shape, np.nan, np.result_type(paired["scores"], np.float16))
    return paired


def _pairs(
    wanted: Mapping[str, Array], actual: Mapping[str, Array]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows of partners, the surest overlap first; each row is taken once."""
    ious = _ious(wanted["boxes"].astype(np.float64), actual["boxes"].astype(np.float64))
    ious[wanted["class_ids"][:, None] != actual["class_ids"][None]] = 0
    ious[wanted["scores"] <= 0] = 0
    ious[:, actual["scores"] <= 0] = 0
    return _matched(ious, _SAME_BOX)


def _matched(ious: npt.NDArray[np.float64], least: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of `ious` above `least`, the largest first, each row and column once."""
    rows: list[int] = []
    partners: list[int] = []
    for place in np.argsort(-ious, axis=None, kind="stable"):
        row, partner = divmod(int(place), ious.shape[1])
        if ious[row, partner] <= least:
            break
        if row not in rows and partner not in partners:
            rows.append(row)
            partners.append(partner)
    return np.array(rows, np.intp), np.array(partners, np.intp)


def _without_rivals(
    lost: npt.NDArray[np.intp],
    more: npt.NDArray[np.intp],
    wanted: Mapping[str, Array],
    actual: Mapping[str, Array],
    tolerance: float,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows of `lost` and `more` without those of which each run kept another one of two.

    Of two that overlap the better one suppresses the other; which is better is chance where scores are nearly one.
    """
    ious = _ious(wanted["boxes"][lost].astype(np.float64), actual["boxes"][more].astype(np.float64))
    ious[wanted["class_ids"][lost][:, None] != actual["class_ids"][more][None]] = 0
    differ = np.abs(wanted["scores"][lost][:, None].astype(np.float64) - actual["scores"][more][None])
    ious[differ > tolerance] = 0
    rows, partners = _matched(ious, _SUPPRESSES)
    return np.delete(lost, rows), np.delete(more, partners)


def _ious(boxes: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the IoU of every pair of boxes, (N, 4) and (M, 4), xyxy."""
    low, high = np.maximum(boxes[:, None, :2], others[None, :, :2]), np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(-1)[:, None] + (others[:, 2:] - others[:, :2]).prod(-1)[None] - shared
    ious: npt.NDArray[np.float64] = np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0)
    return ious


def _edge(scores: Array) -> float:
    """Return the least score that was kept: that of the last row where all are taken, else what detectors keep."""
    full = bool((scores > 0).all()) and scores.size > 0
    return float(scores.min()) if full else _LEAST_SCORE
