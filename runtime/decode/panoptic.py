"""Panoptic decoders: one class and one instance id for every source pixel."""

from collections.abc import Mapping
from typing import Any, cast

import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.bundle.rules import MergeQueries
from segrt.runtime.decode.table import Context
from segrt.runtime.geometry import Geometry
from segrt.runtime.results import PanopticResult, Segment


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
        threads=context.threads,
    )
    segments = [
        Segment(
            id=segment.id,
            class_id=segment.class_id,
            isthing=context.labels[segment.class_id].isthing,
            score=segment.score,
            area=segment.area,
            bbox=segment.bbox,
        )
        for segment in merged
    ]
    return PanopticResult(segment_ids, segments, context.labels)
