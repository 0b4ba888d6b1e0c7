"""The masks of a panoptic result's things as runs, found once: trackers, zones and overlays want the same."""

from collections.abc import Sequence

from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results.panoptic import PanopticResult

_KEPT = "_thing_runs"


def thing_runs(result: PanopticResult) -> tuple[list[int], MaskRuns]:
    """Return the places of a result's things in its segments, and their masks' runs by rows, in that order.

    The result keeps them, and so do those that have the same map, with tracks or without stuff: finding them reads the
    whole map. Like areas and boxes, they do not follow a map that is written into afterwards.
    """
    places = [place for place, segment in enumerate(result.segments) if segment.isthing]
    ids = [result.segments[place].id for place in places]
    kept: tuple[Sequence[int], MaskRuns] | None = result.__dict__.get(_KEPT)
    if kept is None or kept[0] != ids:
        kept = ids, MaskRuns.of_map(result.stored_ids, ids)
        object.__setattr__(result, _KEPT, kept)
    return places, kept[1]
