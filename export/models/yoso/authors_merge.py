"""The panoptic post-processing of YOSO's authors (hujiecpp/YOSO, `panoptic_inference`), in torch.

Written from its description, slowly and step by step; the runtime has the rule as `merge_queries` "yoso".
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from segrt.export.models.shared.framework_results import panoptic_result
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, PanopticResult

_INSIDE = 0.5


def merged(
    class_logits: Tensor, mask_logits: Tensor, geometry: Geometry, rule: MergeQueries, labels: tuple[Label, ...]
) -> PanopticResult:
    """Return the result of class logits (Q, C + 1) and mask logits (Q, h, w) of one picture."""
    scores, classes = class_logits.softmax(-1).max(-1)
    kept = (classes != class_logits.shape[-1] - 1) & (scores > rule.score_threshold)
    scores, classes = scores[kept], classes[kept]
    segmentation = torch.full(geometry.source_size, -1)
    found: list[dict[str, float]] = []
    if len(scores):
        probabilities = _at_source(mask_logits[kept], geometry).sigmoid()
        winner = (scores[:, None, None] * probabilities).argmax(0)
        for query, class_id in enumerate(classes.tolist()):
            won, own = winner == query, probabilities[query] >= _INSIDE
            mask = won & own
            if not mask.any() or int(won.sum()) / int(own.sum()) < rule.overlap_threshold:
                continue
            # `panoptic_result` makes one segment of all stuff of a class.
            segmentation[mask] = len(found)
            found.append({"id": len(found), "label_id": class_id, "score": float(scores[query])})
    return panoptic_result({"segmentation": segmentation, "segments_info": found}, labels)


def _at_source(mask_logits: Tensor, geometry: Geometry) -> Tensor:
    """Return logits (Q, H, W): enlarged to the network's picture, cut to the shown part, brought to the source's."""
    large = F.interpolate(mask_logits[None], geometry.network_size, mode="bilinear", align_corners=False)
    top, left, bottom, right = (round(edge) for edge in geometry.window)
    part = large[:, :, top:bottom, left:right]
    return F.interpolate(part, geometry.source_size, mode="bilinear", align_corners=False)[0]
