"""The IoU of boxes, all pairs at once."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def box_iou(boxes: Floats, others: Floats) -> Floats:
    """Return the IoU of boxes (N, 4) and `others` (M, 4), x0, y0, x1, y1, as (N, M)."""
    width, height = (
        np.minimum(boxes[:, None, axis + 2], others[:, axis + 2]) - np.maximum(boxes[:, None, axis], others[:, axis])
        for axis in (0, 1)
    )
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = _areas(boxes)[:, None] + _areas(others) - shared
    iou: Floats = shared / np.maximum(union, 1e-9)
    return iou


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas
