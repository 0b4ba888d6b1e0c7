"""SOLOv2's matrix NMS."""

import numpy as np

from reference.arrays import Array


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
