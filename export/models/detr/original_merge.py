"""The panoptic post-processing of DETR's authors (facebookresearch/detr, `PostProcessPanoptic`), in torch.

Exports of their checkpoints are compared with it; the runtime has the rule as `merge_queries` "detr" with `compat`.
"""

import numpy as np
import torch
from torch.nn import functional

from segrt.export.models.shared.framework_results import panoptic_result
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, PanopticResult

_SMALLEST_AREA = 5


def original_merge(
    class_logits: torch.Tensor,
    mask_logits: torch.Tensor,
    geometry: Geometry,
    decode: MergeQueries,
    labels: tuple[Label, ...],
) -> PanopticResult:
    """Return the result of class logits (Q, C+1) and mask logits (Q, h, w) of one picture.

    Masks are enlarged to the network's size and cut to the picture; a pixel is the first query's of the highest logit.
    """
    scores, classes = class_logits.softmax(-1).max(-1)
    kept = torch.nonzero((classes != class_logits.shape[-1] - 1) & (scores > decode.score_threshold)).flatten()
    ranked = torch.full(geometry.source_size, -1)
    if len(kept):
        masks = functional.interpolate(mask_logits[kept][None], geometry.network_size, mode="bilinear")[0]
        masks = masks[:, _shown(geometry, 0)][:, :, _shown(geometry, 1)]
        ranked = masks.argmax(0)
        first: dict[int, int] = {}
        for query, class_id in enumerate(classes[kept].tolist()):
            if not labels[class_id].isthing:
                ranked[ranked == query] = first.setdefault(class_id, query)
    while len(kept):
        large = torch.bincount(ranked.flatten(), minlength=len(kept)) >= _SMALLEST_AREA
        if bool(large.all()):
            break
        kept, masks = kept[large], masks[large]
        ranked = masks.argmax(0) if len(kept) else torch.full_like(ranked, -1)
    found = [
        {"id": place, "label_id": int(classes[query]), "score": float(scores[query])}
        for place, query in enumerate(kept)
    ]
    return panoptic_result({"segmentation": ranked, "segments_info": found}, labels)


def _shown(geometry: Geometry, axis: int) -> torch.Tensor:
    """Return the row or column of the network's picture that each of the source's shows."""
    begin, end = geometry.window[axis], geometry.window[axis + 2]
    size = geometry.source_size[axis]
    places = begin + (np.arange(size) + 0.5) * ((end - begin) / size)
    return torch.from_numpy(np.clip(places.astype(np.int64), 0, geometry.network_size[axis] - 1))
