"""SOLO's post-processing in torch, slowly and step by step: what exported networks and their decoder are held to.

As mmdetection describes it (`SOLOHead`, `SOLOV2Head.predict_by_feat`, `mask_matrix_nms`): all cells above the score
threshold, the mask of each by itself, loops over pairs of masks.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segrt.export.models.solov2.head import MASK_STRIDE, STRIDES
from segrt.runtime.decode.matrix_nms import MatrixNms
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult, Label, rle

Objects = tuple[list[float], list[int], list[Tensor]]
# The probabilities (h, w) at stride 4 of the mask of a cell: number of the grid, row, column.
MaskOf = Callable[[int, int, int], Tensor]


class FrameworkResult:
    """A network of grid cells in torch with the slow post-processing; `look` gives its class logits and its masks."""

    def __init__(
        self, look: Callable[[Tensor], tuple[list[Tensor], MaskOf]], labels: tuple[Label, ...], rule: MatrixNms
    ) -> None:
        self._look, self._labels, self._rule = look, labels, rule

    def __call__(self, pixels: Tensor, valid_mask: Tensor | None, geometry: Geometry) -> InstanceResult:
        """Return every object that mmdetection's rule keeps in `pixels` (1, 3, h, w), which are 0 on the padding."""
        if valid_mask is not None:
            pixels = pixels * valid_mask[:, None].float()
        with torch.no_grad():
            scores, class_ids, masks = segment(*self._look(pixels), geometry, self._rule)
        seen = [index for index, mask in enumerate(masks) if mask.any()]
        rles = [rle.encode(masks[index].numpy()) for index in seen]
        return InstanceResult(
            boxes=rle.measure(rles)[1].astype(np.float32).reshape(-1, 4),
            scores=np.array(scores, np.float32)[np.array(seen, np.intp)],
            class_ids=np.array(class_ids, np.int64)[np.array(seen, np.intp)],
            rles=rles,
            size=geometry.source_size,
            labels=self._labels,
        )


def segment(logits: Sequence[Tensor], mask_of: MaskOf, geometry: Geometry, rule: MatrixNms) -> Objects:
    """Return scores, class ids and masks (H, W), by descending score, of class logits (1, C, S, S) of each grid."""
    candidates = []
    for level, stride in zip(range(len(logits)), STRIDES, strict=True):
        scores = torch.sigmoid(logits[level][0])
        for class_id, y, x in (scores > rule.candidate_threshold).nonzero().tolist():
            score = scores[class_id, y, x]
            around = scores[class_id, max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1]
            if score < around.max():
                continue
            mask = mask_of(level, y, x)
            inside = mask > rule.mask_threshold
            if inside.sum() > stride:
                candidates.append((float(score * mask[inside].mean()), class_id, mask))
    candidates = sorted(candidates, key=_score, reverse=True)[: rule.nms_pre]
    scores_after = _matrix_nms(candidates, rule)
    objects = [
        (score, class_id, _enlarged(mask, geometry) > rule.mask_threshold)
        for score, (_, class_id, mask) in zip(scores_after, candidates, strict=True)
        if score >= rule.filter_threshold
    ]
    objects = sorted(objects, key=_score, reverse=True)[: rule.max_instances]
    scores_kept, class_ids, masks = zip(*objects, strict=True) if objects else ((), (), ())
    return list(scores_kept), list(class_ids), list(masks)


def _score(candidate: tuple[float, int, Tensor]) -> float:
    return candidate[0]


def _matrix_nms(candidates: list[tuple[float, int, Tensor]], rule: MatrixNms) -> list[float]:
    """Return each score times the least, over better masks of the class, of their decay over their own worst overlap.

    `candidates` come by descending score.
    """
    masks = [mask > rule.mask_threshold for _, _, mask in candidates]
    overlaps = [
        [_iou(masks[i], masks[j]) if candidates[i][1] == candidates[j][1] else 0.0 for i in range(j)]
        for j in range(len(candidates))
    ]
    worst = [max(better, default=0.0) for better in overlaps]
    scores = []
    for j, (score, _, _) in enumerate(candidates):
        decays = [math.exp(-rule.sigma * (overlaps[j][i] ** 2 - worst[i] ** 2)) for i in range(j)]
        scores.append(score * min([1.0, *decays]))
    return scores


def _iou(mask: Tensor, other: Tensor) -> float:
    shared = int((mask & other).sum())
    return shared / (int(mask.sum()) + int(other.sum()) - shared)


def _enlarged(mask: Tensor, geometry: Geometry) -> Tensor:
    """Return probabilities (H, W): enlarged to the network's pixels, cut to the picture's, resized to the source."""
    top, left, bottom, right = (int(edge) for edge in geometry.window)
    size = (mask.shape[0] * MASK_STRIDE, mask.shape[1] * MASK_STRIDE)
    whole = F.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)
    part = whole[:, :, top:bottom, left:right]
    return F.interpolate(part, size=geometry.source_size, mode="bilinear", align_corners=False)[0, 0]
