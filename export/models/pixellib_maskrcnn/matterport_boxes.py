"""Anchors, and the selections of proposals and detections, with Matterport's rules and static shapes.

Matterport divides coordinates by the picture's sides less one, so that the first pixel is 0 and the last 1. Boxes here
are the same before that division: (..., 4) xyxy, from the centre of the first pixel to that of the last, float32.
"""

import numpy as np
import torch
from torch import Tensor, nn

from segrt.export.family import Size
from segrt.export.models.maskrcnn.boxes import decode_boxes, pairs_above
from segrt.export.models.maskrcnn.suppression import greedy_keep

STRIDES = (4, 8, 16, 32, 64)
_SCALES = (32, 64, 128, 256, 512)
_RATIOS = (0.5, 1.0, 2.0)
_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of moves: standard deviations 0.1, 0.1, 0.2, 0.2
_PROPOSAL_OVERLAP, _DETECTION_OVERLAP = 0.7, 0.3
_DEAD = -1.0  # the score of a row that holds nothing
_MOST_AT_ONCE = 3000  # TensorRT's TopK ends at 3840
_BLOCK = 1500


def anchors(size: Size) -> Tensor:
    """Return all anchors (A, 4) of a network input of `size` (h, w): map by map, row by row, three a cell."""
    parts = []
    for stride, scale in zip(STRIDES, _SCALES, strict=True):
        ratios = np.sqrt(np.array(_RATIOS))
        half = np.stack([scale * ratios, scale / ratios], axis=-1) / 2  # half width, half height
        rows, columns = (np.arange(-(-side // stride)) * stride for side in size)
        centres = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 1, 2)
        parts.append(np.concatenate([centres - half, centres + half - 1], axis=-1).reshape(-1, 4))
    return torch.tensor(np.concatenate(parts), dtype=torch.float32)


def moved(boxes: Tensor, moves: Tensor) -> Tensor:
    """Return `boxes` (N, 4) moved by `moves` (N, 4): dy, dx, log dh, log dw."""
    across = torch.stack([moves[:, 1], moves[:, 0], moves[:, 3], moves[:, 2]], dim=1)
    return decode_boxes(boxes, across, _WEIGHTS)


def clipped(boxes: Tensor, window: Tensor) -> Tensor:
    """Return `boxes` (N, 4) clipped to `window` (4,), xyxy."""
    low, high = window[:2].repeat(2), window[2:].repeat(2)
    return torch.maximum(torch.minimum(boxes, high), low)


def best_places(scores: Tensor, count: int) -> Tensor:
    """Return the places (count,) of the best of `scores` (N,), which lie in 0 to 1, by descending score."""
    places: list[Tensor] = []
    rest = scores
    while count > 0:
        taken = min(count, _MOST_AT_ONCE)
        _, place = torch.topk(rest, taken)
        places.append(place)
        count -= taken
        if count > 0:
            rest = rest.scatter(0, place, torch.full_like(place, -1, dtype=rest.dtype))
    return torch.cat(places)


def keep_in_blocks(boxes: Tensor, candidate: Tensor, threshold: float, block: int = _BLOCK) -> Tensor:
    """Return which of `boxes` (N, 4), by descending score, greedy suppression keeps, bool (N,).

    One block after the other, for a matrix of thousands by thousands would fill a small device's memory.
    """
    kept: list[Tensor] = []
    for start in range(0, boxes.shape[0], block):
        own, alive = boxes[start : start + block], candidate[start : start + block]
        if kept:
            overlaps = pairs_above(boxes[:start], own, threshold).float()
            alive = alive & (torch.matmul(torch.cat(kept).float()[None], overlaps)[0] < 0.5)
        kept.append(greedy_keep(pairs_above(own, own, threshold)[None], alive[None])[0])
    return torch.cat(kept)


class MatterportProposals(nn.Module):
    """The best anchors of all levels together, moved, clipped to the input, suppressed, and the first that stay."""

    anchors: Tensor

    def __init__(self, size: Size, *, before: int, after: int) -> None:
        super().__init__()
        self.register_buffer("anchors", anchors(size))
        self.before = min(before, self.anchors.shape[0])
        self.after = min(after, self.before)
        self.size = size

    def forward(self, logits: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (P, 4), best first, and which hold a proposal, bool (P,).

        logits: (A, 2), background and object; moves: (A, 4).
        """
        place = best_places(torch.softmax(logits, dim=-1)[:, 1], self.before)
        box = moved(self.anchors.index_select(0, place), moves.index_select(0, place))
        height, width = self.size
        box = clipped(box, torch.tensor([0.0, 0.0, width - 1.0, height - 1.0]))
        keep = keep_in_blocks(box, torch.ones(self.before, dtype=torch.bool), _PROPOSAL_OVERLAP)
        # The order decides, not the score: many score 1 to the last bit.
        order = torch.arange(self.before, 0, -1, dtype=torch.float32)
        rank, first = torch.topk(torch.where(keep, order, order - self.before - 1.0), self.after)
        alive = rank > 0.0
        return box.index_select(0, first) * alive.float()[:, None], alive


class MatterportDetections(nn.Module):
    """Every proposal with its own best class, moved, clipped to the picture, suppressed within classes; the best."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(
        self, class_logits: Tensor, moves: Tensor, proposals: Tensor, alive: Tensor, window: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes (D, 4), scores (D,), -1 where there is none, and class ids (D,) from 1, by descending score.

        class_logits: (P, K), the background first; moves: (P, K, 4); proposals: (P, 4); alive: bool (P,); window: the
        picture, (4,) xyxy.
        """
        count, classes = class_logits.shape
        probability, class_id = torch.softmax(class_logits, dim=-1).max(dim=-1)
        probability = torch.where(alive & (class_id > 0), probability, torch.full_like(probability, _DEAD))
        score, order = torch.topk(probability, count)
        class_id = class_id.index_select(0, order)
        own = moves.reshape(-1, 4).index_select(0, order * classes + class_id)
        box = clipped(moved(proposals.index_select(0, order), own), window)
        overlaps = pairs_above(box, box, _DETECTION_OVERLAP) & (class_id[:, None] == class_id[None, :])
        keep = greedy_keep(overlaps[None], (score > 0.0)[None])[0]
        best, chosen = torch.topk(torch.where(keep, score, torch.full_like(score, _DEAD)), min(self.count, count))
        return box.index_select(0, chosen), best, class_id.index_select(0, chosen)
