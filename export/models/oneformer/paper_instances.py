"""Instances as OneFormer's authors make them (SHI-Labs/OneFormer, oneformer_model.py, `instance_inference`).

transformers' own are merged from mask logits as though they were probabilities.
"""

from typing import Any

import torch
from torch import nn

from segrt.export.models.shared import framework_results
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, Result


def paper_instances(outputs: Any, geometry: Geometry, decode: QueryInstances, labels: tuple[Label, ...]) -> Result:
    """Return the instances of the first picture of `outputs`, class and mask logits of queries.

    Masks are enlarged to the network's input, what is padding is cut away, and the rest is brought to the picture's
    size (detectron2's `sem_seg_postprocess`); there their probabilities are averaged.
    """
    scores = outputs.class_queries_logits[0].softmax(-1)[:, :-1]
    best, pairs = scores.flatten().topk(min(decode.top_k, scores.numel()))
    masks = _at_picture(outputs.masks_queries_logits, geometry)[0]
    kept_masks, kept_scores, classes = [], [], []
    for score, pair in zip(best.tolist(), pairs.tolist(), strict=True):
        logits = masks[pair // scores.shape[1]]
        shown = logits > 0
        quality = float((logits.sigmoid() * shown).sum() / (shown.sum() + 1e-6))
        if shown.any() and score * quality > decode.score_threshold:
            kept_masks.append(shown)
            kept_scores.append(score * quality)
            classes.append(pair % scores.shape[1])
    together = torch.stack(kept_masks) if kept_masks else torch.zeros((0, *geometry.source_size), dtype=torch.bool)
    return framework_results.instance_result(together.numpy(), kept_scores, classes, labels)


def _at_picture(mask_logits: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    top, left, bottom, right = (round(edge) for edge in geometry.window)
    network = nn.functional.interpolate(mask_logits, geometry.network_size, mode="bilinear", align_corners=False)
    shown = network[..., top:bottom, left:right]
    return nn.functional.interpolate(shown, geometry.source_size, mode="bilinear", align_corners=False)
