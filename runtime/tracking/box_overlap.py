"""The IoU of boxes, all pairs at once."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def box_iou(boxes: Floats, others: Floats, *, enlarged: float = 0.0) -> Floats:
    """Return the IoU of boxes (N, 4) and `others` (M, 4), x0, y0, x1, y1, as (N, M).

    `enlarged` adds that share of its sides to each side of every box (C-BIoU, https://arxiv.org/abs/2211.14317).
    """
    boxes, others = (_grown(side, enlarged) for side in (boxes, others)) if enlarged else (boxes, others)
    width, height = (
        np.minimum(boxes[:, None, axis + 2], others[:, axis + 2]) - np.maximum(boxes[:, None, axis], others[:, axis])
        for axis in (0, 1)
    )
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = _areas(boxes)[:, None] + _areas(others) - shared
    iou: Floats = shared / np.maximum(union, 1e-9)
    return iou


def box_nearness(boxes: Floats, others: Floats, deviations: Floats) -> Floats:
    """Return how likely the smaller of each pair is a part of the larger, (N, M): 1 inside, less outside.

    `deviations` (N, 2) are those of the boxes' places in x and y, pixels: at one of them outside it is 0.61.
    """
    low = boxes[:, None, :2] - others[None, :, :2]
    high = boxes[:, None, 2:] - others[None, :, 2:]
    # Sides that part to the left and to the right tell of different sizes; both to one side tell of a distance.
    outside = np.where(low * high > 0, np.minimum(np.abs(low), np.abs(high)), 0.0)
    nearness: Floats = np.exp(-0.5 * ((outside / deviations[:, None]) ** 2).sum(axis=-1))
    return nearness


def _grown(boxes: Floats, share: float) -> Floats:
    margin = share * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate((boxes[:, :2] - margin, boxes[:, 2:] + margin), axis=1)


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas
