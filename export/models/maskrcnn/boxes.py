"""Boxes as tensors: from anchors and deltas, clipped, compared. Boxes are (..., 4) xyxy in network pixels, float32."""

import math

import torch
from torch import Tensor

# torchvision's BoxCoder clips log sizes there, so that exp stays finite.
_LARGEST_LOG_SIZE = math.log(1000.0 / 16)


def decode_boxes(anchors: Tensor, deltas: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Return `anchors` (..., 4) moved and scaled by `deltas` (..., 4): dx, dy, dw, dh, each divided by its weight.

    The arithmetic of torchvision's `BoxCoder.decode_single`, in its order.
    """
    width = anchors[..., 2] - anchors[..., 0]
    height = anchors[..., 3] - anchors[..., 1]
    center_x = deltas[..., 0] / weights[0] * width + (anchors[..., 0] + 0.5 * width)
    center_y = deltas[..., 1] / weights[1] * height + (anchors[..., 1] + 0.5 * height)
    half_width = 0.5 * (torch.exp((deltas[..., 2] / weights[2]).clamp(max=_LARGEST_LOG_SIZE)) * width)
    half_height = 0.5 * (torch.exp((deltas[..., 3] / weights[3]).clamp(max=_LARGEST_LOG_SIZE)) * height)
    edges = [center_x - half_width, center_y - half_height, center_x + half_width, center_y + half_height]
    return torch.stack(edges, dim=-1)


def clip_boxes(boxes: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Return `boxes` (..., 4) clipped to a picture of `height` and `width`, scalars."""
    limits = torch.stack([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0.0), limits)


def is_at_least(boxes: Tensor, least: float) -> Tensor:
    """Return which `boxes` (..., 4) have both sides of `least` pixels or more, bool (...)."""
    return (boxes[..., 2] - boxes[..., 0] >= least) & (boxes[..., 3] - boxes[..., 1] >= least)


def overlaps_above(boxes: Tensor, threshold: float) -> Tensor:
    """Return which pairs of `boxes` (..., N, 4) have an IoU above `threshold`, bool (..., N, N)."""
    return pairs_above(boxes, boxes, threshold)


def pairs_above(boxes: Tensor, others: Tensor, threshold: float) -> Tensor:
    """Return which pairs of `boxes` (..., N, 4) and `others` (..., M, 4) have an IoU above `threshold`, (..., N, M)."""
    area, other_area = ((each[..., 2] - each[..., 0]) * (each[..., 3] - each[..., 1]) for each in (boxes, others))
    rows, columns = boxes[..., :, None, :], others[..., None, :, :]
    sides = (torch.minimum(rows[..., 2:], columns[..., 2:]) - torch.maximum(rows[..., :2], columns[..., :2])).clamp(
        min=0.0
    )
    shared = sides[..., 0] * sides[..., 1]
    return shared > threshold * (area[..., :, None] + other_area[..., None, :] - shared)
