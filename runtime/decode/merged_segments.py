"""From the core's segments to a result's."""

from collections.abc import Iterable, Sequence

from segrt.runtime import postproc
from segrt.runtime.results import Label, Segment


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
            name=labels[segment.class_id].name,
        )
        for segment in merged
    ]
