"""Matterport's way from maps to objects with lists of any length, as the reference for the static network.

Written from the description of its ProposalLayer, PyramidROIAlign, DetectionLayer and unmold_detections, in its own
coordinates: y, x, y, x from 0 to 1, from the first pixel's centre to the last one's.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.ops import nms

from segrt.export.models.pixellib_maskrcnn.matterport_network import BOX_POOL, MASK_POOL, MatterportMaskRCNN
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult, Label, rle

_DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
_PROPOSAL_OVERLAP, _DETECTION_OVERLAP = 0.7, 0.3


class MatterportResult:
    """Every object that Matterport's way finds in a network's input."""

    def __init__(self, network: MatterportMaskRCNN, rule: PasteMasks, labels: tuple[Label, ...]) -> None:
        self.network = network
        self._rule, self._labels = rule, labels

    def __call__(self, pixels: Tensor, valid_mask: Tensor | None, geometry: Geometry) -> InstanceResult:  # noqa: ARG002
        """Return the objects in `pixels` (1, 3, h, w) that score enough, best first."""
        network, (height, width) = self.network, geometry.network_size
        top, left, bottom, right = geometry.window
        scale = torch.tensor([height - 1, width - 1, height - 1, width - 1], dtype=torch.float32)
        window = (torch.tensor([top, left, bottom - 1, right - 1], dtype=torch.float32)) / scale
        with torch.no_grad():
            levels = network.backbone(pixels)
            logits, moves = network.heads.proposals(levels)
            scores = torch.softmax(logits, 1)[:, 1]
            anchors = network.proposals.anchors[:, [1, 0, 3, 2]] / scale
            proposals = _proposals(anchors, scores, moves, network.proposals.before, network.proposals.after)
            logits, class_moves = network.heads.boxes(_pooled(levels[:4], proposals, geometry, BOX_POOL))
            boxes, found, class_ids = _detections(
                proposals, logits, class_moves, window, self._rule.score_threshold, network.detections.count
            )
            masks = torch.zeros(0)
            if len(boxes):
                masks = network.heads.own_masks(_pooled(levels[:4], boxes, geometry, MASK_POOL), class_ids)
        return self._unmolded(boxes, found, class_ids, masks, window, geometry)

    def _unmolded(
        self, boxes: Tensor, scores: Tensor, class_ids: Tensor, masks: Tensor, window: Tensor, geometry: Geometry
    ) -> InstanceResult:
        height, width = geometry.source_size
        inside = (boxes - window[[0, 1, 0, 1]]) / (window[2:] - window[:2]).repeat(2)
        whole = inside.double() * torch.tensor([height - 1, width - 1] * 2) + torch.tensor([0, 0, 1, 1])
        pixels = np.around(whole.numpy()).astype(np.int64).reshape(-1, 4)
        kept = [index for index, (y, x, y2, x2) in enumerate(pixels) if y2 > y and x2 > x]
        rles = []
        for index in kept:
            y, x, y2, x2 = pixels[index]
            full = np.zeros((height, width), bool)
            full[y:y2, x:x2] = _resized(masks[index].numpy(), (y2 - y, x2 - x)) >= self._rule.mask_threshold
            rles.append(rle.encode(full))
        return InstanceResult(
            boxes=pixels[kept][:, [1, 0, 3, 2]].astype(np.float32).reshape(-1, 4),
            scores=scores.numpy()[kept].astype(np.float32),
            class_ids=class_ids.numpy()[kept].astype(np.int64) - self._rule.first_class,
            rles=rles,
            size=geometry.source_size,
            labels=self._labels,
        )


def _moved(boxes: Tensor, moves: Tensor) -> Tensor:
    moves = moves * torch.tensor(_DEVIATIONS)
    sides = boxes[:, 2:] - boxes[:, :2]
    centre = boxes[:, :2] + 0.5 * sides + moves[:, :2] * sides
    sides = sides * torch.exp(moves[:, 2:])
    first = centre - 0.5 * sides
    return torch.cat([first, first + sides], 1)


def _clipped(boxes: Tensor, window: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(boxes, window[:2].repeat(2)), window[2:].repeat(2))


def _proposals(anchors: Tensor, scores: Tensor, moves: Tensor, before: int, after: int) -> Tensor:
    order = torch.sort(scores, descending=True, stable=True).indices[:before]
    boxes = _clipped(_moved(anchors[order], moves[order]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    # Scores of 1 to the last bit are many: suppression goes by the order.
    ranks = torch.arange(len(boxes), 0, -1, dtype=torch.float32)
    return boxes[nms(boxes, ranks, _PROPOSAL_OVERLAP)[:after]]


def _pooled(levels: list[Tensor], boxes: Tensor, geometry: Geometry, output: int) -> Tensor:
    """Return features (N, C, output, output): bilinear at points from edge to edge of each box, on its own level."""
    height, width = geometry.network_size
    extent = torch.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * (height * width)) / 224.0
    level = (4 + torch.round(torch.log2(extent.clamp(min=1e-9)))).clamp(2, 5).long()
    pooled = torch.zeros(len(boxes), levels[0].shape[1], output, output)
    share = torch.arange(output) / (output - 1)
    for index, features in enumerate(levels):
        rows_there, columns_there = features.shape[2:]
        for at in torch.nonzero(level == index + 2).flatten().tolist():
            y, x, y2, x2 = boxes[at]
            rows = (y + share * (y2 - y)) * (rows_there - 1)
            columns = (x + share * (x2 - x)) * (columns_there - 1)
            pooled[at] = _bilinear(features[0], rows, columns)
    return pooled


def _bilinear(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return `features` (C, h, w) at the crossings of `rows` (S,) and `columns` (T,), as (C, S, T)."""
    ends = []
    for places, length in ((rows, features.shape[1]), (columns, features.shape[2])):
        first = places.floor().clamp(0, length - 1).long()
        ends.append((first, (first + 1).clamp(max=length - 1), (places - first).clamp(0, 1)))
    (above, below, down), (left, right, across) = ends
    upper = features[:, above[:, None], left] * (1 - across) + features[:, above[:, None], right] * across
    lower = features[:, below[:, None], left] * (1 - across) + features[:, below[:, None], right] * across
    return upper * (1 - down[:, None]) + lower * down[:, None]


def _detections(
    proposals: Tensor, logits: Tensor, moves: Tensor, window: Tensor, least: float, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    scores, class_ids = torch.softmax(logits, 1).max(1)
    boxes = _clipped(_moved(proposals, moves[torch.arange(len(moves)), class_ids]), window)
    kept = torch.nonzero((class_ids > 0) & (scores >= least)).flatten()
    chosen = []
    for class_id in np.unique(class_ids[kept].numpy()).tolist():
        own = kept[class_ids[kept] == class_id]
        chosen.append(own[nms(boxes[own], scores[own], _DETECTION_OVERLAP)])
    found = torch.cat(chosen) if chosen else torch.zeros(0, dtype=torch.long)
    found = found[torch.sort(scores[found], descending=True, stable=True).indices[:count]]
    return boxes[found], scores[found], class_ids[found]


def _resized(mask: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return `mask` (m, m) enlarged to `size` (h, w) bilinearly, zeros around it, as skimage does."""
    values = np.pad(mask.astype(np.float64), 1)
    for axis, count in enumerate(size):
        places = (np.arange(count) + 0.5) * mask.shape[axis] / count - 0.5 + 1
        first = np.floor(places).astype(int)
        weight = (places - first).reshape((-1, 1) if axis == 0 else (1, -1))
        values = values.take(first, axis) * (1 - weight) + values.take(first + 1, axis) * weight
    return values
