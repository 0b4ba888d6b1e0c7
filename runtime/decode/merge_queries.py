"""Panoptic decoders: one class and one instance id for every source pixel."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.bundle.rules import MergeQueries
from segrt.runtime.decode.decoders import Context
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, PanopticResult, Segment

# The peers bring masks to the size that the network saw before anything else (Mask2Former's always to 384 x 384).
_RESIZED_FIRST = ("eomt", "detr")


def merge_queries(heads: Mapping[str, npt.NDArray[Any]], geometry: Geometry, context: Context) -> PanopticResult:
    """Decode `class_logits` (Q, C+1) and `mask_logits` (Q, h, w) by the bundle's merge rule and thresholds."""
    rule = cast("MergeQueries", context.decode)
    masks = heads["mask_logits"]
    segment_ids, merged = postproc.merge_queries(
        heads["class_logits"],
        masks,
        geometry.source_size,
        rule=rule.merge_rule,
        score_threshold=rule.score_threshold,
        overlap_threshold=rule.overlap_threshold,
        stuff_classes=tuple(index for index, label in enumerate(context.labels) if not label.isthing),
        window=geometry.window_on((masks.shape[1], masks.shape[2])),
        processed_size=geometry.network_size if rule.merge_rule in _RESIZED_FIRST else None,
        threads=context.threads,
    )
    return PanopticResult(segment_ids, described(merged, context.labels), context.labels)


def described(merged: Iterable[postproc.MergedSegment], labels: Sequence[Label]) -> list[Segment]:
    """Return the segments of a merge as a result has them."""
    return [
        Segment(
            id=segment.id,
            class_id=segment.class_id,
            isthing=labels[segment.class_id].isthing,
            score=segment.score,
            area=segment.area,
            bbox=segment.bbox,
        )
        for segment in merged
    ]
