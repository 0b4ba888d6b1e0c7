"""Boxes as distributions over distances, as D-FINE refines them from layer to layer.

Each edge's distance is the mean of 33 fixed distances, weighted by a softmax; the next layer adds to its logits.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.shared.perceptron import Perceptron

BINS = 33
_SUREST = 4
_QUALITY_HIDDEN = 64
_LEAST = 1e-5


class Quality(nn.Module):
    """What the certainty of a query's edges adds to its class logits."""

    def __init__(self) -> None:
        super().__init__()
        self.reg_conf = Perceptron((4 * (_SUREST + 1), _QUALITY_HIDDEN, 1), F.silu)

    def forward(self, scores: Tensor, edges: Tensor) -> Tensor:
        """Return class logits (N, Q, C) of those and of the edges' logits (N, Q, 4 * 33)."""
        surest = edges.reshape(*edges.shape[:2], 4, BINS).softmax(-1).topk(_SUREST, dim=-1).values
        certainty = torch.cat([surest, surest.mean(-1, keepdim=True)], dim=-1)
        quality: Tensor = self.reg_conf(certainty.flatten(2))
        return scores + quality


def distances_of_bins(reach: Tensor, curvature: Tensor) -> Tensor:
    """Return the distances (33,) that edges are means of: dense around 0, from -2 to 2 times `reach` * `curvature`.

    Both are (1,), from the checkpoint (`up`, `reg_scale`).
    """
    most = reach.abs() * curvature.abs()
    steps = torch.arange(1, BINS // 2, dtype=most.dtype, device=most.device)
    out = (most + 1) ** (2 * steps / (BINS - 3)) - 1
    return torch.cat([-2 * most, -out.flip(0), torch.zeros_like(most), out, 2 * most])


def moved(boxes: Tensor, edges: Tensor, bins: Tensor, curvature: Tensor) -> Tensor:
    """Return boxes (N, Q, 4), centre and sides, of which each edge is moved as its logits (N, Q, 4 * 33) say."""
    steps = torch.matmul(edges.reshape(*edges.shape[:2], 4, BINS).softmax(-1), bins)  # left, top, right, bottom
    scale = curvature.abs()
    reach = (0.5 * scale + steps) * boxes[..., 2:].repeat(1, 1, 2) / scale
    low, high = boxes[..., :2] - reach[..., :2], boxes[..., :2] + reach[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def logit(shares: Tensor) -> Tensor:
    """Return the logits of values 0 to 1, kept finite."""
    shares = shares.clamp(0, 1)
    return torch.log(shares.clamp(min=_LEAST) / (1 - shares).clamp(min=_LEAST))
