"""A result of some classes alone: what is of another class counts as not found."""

from dataclasses import replace

import numpy as np

from segrt.runtime.results import rle
from segrt.runtime.results.instance import InstanceResult
from segrt.runtime.results.panoptic import PanopticResult
from segrt.runtime.results.remap import remap
from segrt.runtime.results.semantic import NO_VOID, SemanticResult

AnyResult = SemanticResult | InstanceResult | PanopticResult


def restricted(result: AnyResult, classes: frozenset[int]) -> AnyResult:
    """Return `result` with the segments, objects or pixels of `classes` (positions in its labels) alone.

    Pixels of other classes become void (a class map without a value for void gets the wider type), ids of the segments
    that stay are kept, and so are the labels.
    """
    if isinstance(result, InstanceResult):
        kept = [index for index, class_id in enumerate(result.class_ids) if int(class_id) in classes]
        rles: list[rle.Rle] = [result.rles[index] for index in kept]
        return replace(
            result,
            boxes=result.boxes[kept],
            scores=result.scores[kept],
            class_ids=result.class_ids[kept],
            rles=rles,
        )
    if isinstance(result, PanopticResult):
        segments = [segment for segment in result.segments if segment.class_id in classes]
        table = {segment.id: segment.id for segment in segments}
        ids = remap(result.segment_ids, table, default=0, dtype=np.int32)
        return PanopticResult(ids, segments, result.labels, result.timings, result.nonfinite_heads)
    dtype = np.dtype(np.uint16) if result.void_id == NO_VOID else result.class_map.dtype
    void = int(np.iinfo(dtype).max)
    class_map = remap(result.class_map, {index: index for index in classes}, default=void, dtype=dtype)
    return replace(result, class_map=class_map)
