"""How well tracks and things fit each other: 0 to 1 for each pair."""

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns

Floats = npt.NDArray[np.float64]


def mask_iou(
    masks: MaskRuns, areas: npt.NDArray[np.int64], shifts: Floats, others: MaskRuns, other_areas: npt.NDArray[np.int64]
) -> Floats:
    """Return the IoU of each mask, moved by `shifts` (N, 2) as (dx, dy), with each of `others`, (N, M)."""
    shared = masks.shared(others, np.rint(np.clip(shifts, -1e6, 1e6)).astype(np.int64))
    union = areas[:, None] + other_areas - shared
    iou: Floats = shared / np.maximum(union, 1)
    return iou


def box_iou(boxes: Floats, others: Floats, *, enlarged: float = 0.0) -> Floats:
    """Return the IoU of boxes (N, 4) and `others` (M, 4), x0, y0, x1, y1, as (N, M).

    `enlarged` adds that share of its sides to each side of every box (C-BIoU, https://arxiv.org/abs/2211.14317).
    """
    boxes, others = (_grown(side, enlarged) for side in (boxes, others)) if enlarged else (boxes, others)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = _areas(boxes)[:, None] + _areas(others) - shared
    iou: Floats = shared / np.maximum(union, 1e-9)
    return iou


def _grown(boxes: Floats, share: float) -> Floats:
    margin = share * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate((boxes[:, :2] - margin, boxes[:, 2:] + margin), axis=1)


def _areas(boxes: Floats) -> Floats:
    areas: Floats = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return areas
