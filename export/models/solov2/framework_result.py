"""SOLOv2's post-processing in torch, slowly and step by step: what the exported network and its decoder are held to.

As mmdetection describes it (`SOLOV2Head.predict_by_feat`, `mask_matrix_nms`): all cells above the score threshold, each
mask a convolution of the features with the cell's own kernel, loops over pairs of masks.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from segrt.export.models.solov2.head import MASK_STRIDE, STRIDES
from segrt.export.models.solov2.network import SOLOv2
from segrt.runtime.decode.matrix_nms import MatrixNms
from segrt.runtime.preprocess.geometry import Geometry

Objects = tuple[list[float], list[int], list[Tensor]]


def segment(network: SOLOv2, pixels: Tensor, geometry: Geometry, rule: MatrixNms) -> Objects:
    """Return scores, class ids and masks (H, W) of `pixels` (1, 3, h, w), by descending score."""
    logits, kernels, features = network(pixels)
    candidates = []
    for level, stride in zip(range(len(logits)), STRIDES, strict=True):
        scores = torch.sigmoid(logits[level][0])
        for class_id, y, x in (scores > rule.candidate_threshold).nonzero().tolist():
            score = scores[class_id, y, x]
            around = scores[class_id, max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1]
            if score < around.max():
                continue
            kernel = kernels[level][0, :, y, x]
            mask = torch.sigmoid(F.conv2d(features, kernel[None, :, None, None]))[0, 0]
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
