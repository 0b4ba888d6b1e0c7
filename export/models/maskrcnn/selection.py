"""The selections of Mask R-CNN: proposals out of anchors, detections out of proposals. Box arithmetic is float32."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segrt.export.models.maskrcnn.boxes import clip_boxes, decode_boxes, is_at_least, overlaps_above
from segrt.export.models.maskrcnn.suppression import greedy_keep

_DEAD = -1.0  # the score of a row that holds nothing
_LEAST_DETECTION = 1e-2


class ProposalSelection(nn.Module):
    """The best anchors of every level, moved, clipped, suppressed within their level, and the best of all.

    As torchvision's `RegionProposalNetwork.filter_proposals`; places that stay empty get the score -1.
    """

    def __init__(
        self, anchors: Sequence[Tensor], *, before: int, after: int, threshold: float, least_score: float, least: float
    ) -> None:
        super().__init__()
        self.levels = len(anchors)
        for level, boxes in enumerate(anchors):
            self.register_buffer(f"anchors_{level}", boxes)
        self.before = [min(before, len(boxes)) for boxes in anchors]
        self.after = min(after, sum(self.before))
        self.threshold, self.least_score, self.least = threshold, least_score, least

    def forward(
        self, objectness: Sequence[Tensor], deltas: Sequence[Tensor], height: Tensor, width: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return boxes (P, 4) and scores (P,) by descending score.

        objectness: logits of each level (1, A, h, w); deltas: (1, 4 A, h, w); height, width: of the picture, scalars.
        """
        rows = max(self.before)
        boxes, scores = [], []
        for level in range(self.levels):
            logits = objectness[level][0].permute(1, 2, 0).reshape(-1)
            moves = deltas[level][0]
            moves = moves.reshape(-1, 4, *moves.shape[1:]).permute(2, 3, 0, 1).reshape(-1, 4)
            best, index = torch.topk(logits, self.before[level])
            anchors = getattr(self, f"anchors_{level}").index_select(0, index)
            moved = decode_boxes(anchors, moves.index_select(0, index), (1.0, 1.0, 1.0, 1.0))
            missing = rows - self.before[level]
            boxes.append(nn.functional.pad(moved, (0, 0, 0, missing)))
            scores.append(nn.functional.pad(torch.sigmoid(best), (0, missing), value=_DEAD))
        box = clip_boxes(torch.stack(boxes), height, width)  # (L, R, 4)
        score = torch.stack(scores)
        candidate = is_at_least(box, self.least) & (score >= self.least_score)
        keep = greedy_keep(overlaps_above(box, self.threshold), candidate)
        score = torch.where(keep, score, torch.full_like(score, _DEAD))
        best, index = torch.topk(score.reshape(-1), self.after)
        return box.reshape(-1, 4).index_select(0, index), best


class DetectionSelection(nn.Module):
    """The best (proposal, class) pairs, moved, clipped, suppressed within their class, and the best of those.

    As torchvision's `RoIHeads.postprocess_detections`, but that only the `candidates` best pairs are looked at. The
    result is the same wherever no more pairs than that score above the threshold; else all of the looked-at pairs
    still stand as they should, and what is missing scores below them.
    """

    def __init__(
        self,
        *,
        candidates: int,
        detections: int,
        least_score: float,
        threshold: float,
        weights: tuple[float, float, float, float],
    ) -> None:
        super().__init__()
        self.candidates, self.detections = candidates, detections
        self.least_score, self.threshold, self.weights = least_score, threshold, weights

    def forward(
        self, class_logits: Tensor, deltas: Tensor, proposals: Tensor, alive: Tensor, height: Tensor, width: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes (D, 4), scores (D,), -1 where there is none, and class ids (D,) from 1, by descending score.

        class_logits: (P, C) with the background first; deltas: (P, 4 C); proposals: (P, 4); alive: bool (P,).
        """
        count, classes = class_logits.shape
        probability = torch.softmax(class_logits, dim=-1)[:, 1:] * alive.float()[:, None]
        candidates = min(self.candidates, count * (classes - 1))
        score, index = torch.topk(probability.reshape(-1), candidates)
        proposal = torch.div(index, classes - 1, rounding_mode="floor")
        class_id = index - proposal * (classes - 1) + 1
        moves = deltas.reshape(-1, 4).index_select(0, proposal * classes + class_id)
        box = clip_boxes(decode_boxes(proposals.index_select(0, proposal), moves, self.weights), height, width)
        candidate = (score > self.least_score) & is_at_least(box, _LEAST_DETECTION)
        same_class = class_id[:, None] == class_id[None, :]
        overlaps = overlaps_above(box, self.threshold) & same_class
        keep = greedy_keep(overlaps[None], candidate[None])[0]
        best, chosen = torch.topk(
            torch.where(keep, score, torch.full_like(score, _DEAD)), min(self.detections, candidates)
        )
        return box.index_select(0, chosen), best, class_id.index_select(0, chosen)
