"""What zones look at in a result: each thing with its track, its centre and how much of it is in which zone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import InstanceResult, PanopticResult, Result
from segrt.runtime.results.thing_runs import thing_runs
from segrt.runtime.zones.run_sums import centres_of
from segrt.runtime.zones.zone_masks import ZoneMasks


@dataclass(frozen=True)
class Thing:
    """`track_id` is None where nothing was tracked; `shares` of its mask, 0 to 1, are in the zones, in their order.

    `centre` is its mask's, (x, y) in pixels, None where it was not asked for.
    """

    track_id: int | None
    class_id: int
    shares: tuple[float, ...]
    centre: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class _Masks:
    """What things of zones are made of: track and class of each, its mask, the areas (N,) that shares are of."""

    tracks: list[int | None]
    class_ids: list[int]
    masks: MaskRuns
    areas: npt.NDArray[np.int64]


def things_of(result: Result, zones: ZoneMasks, classes: frozenset[int], *, centres: bool) -> list[Thing]:
    """Return the things of `classes` in a result, in its order; empty masks are none. Semantic results have none."""
    found = _masks_of(result, classes)
    if found is None:
        return []
    places: Sequence[tuple[float, float] | None] = [None] * len(found.tracks)
    if centres:
        places = centres_of(found.masks)
    counts = found.masks.shared(zones.runs(by_columns=found.masks.by_columns))
    shares = (counts / found.areas[:, None]).tolist()
    return [
        Thing(track, class_id, tuple(row), place)
        for track, class_id, row, place in zip(found.tracks, found.class_ids, shares, places, strict=True)
    ]


def _masks_of(result: Result, classes: frozenset[int]) -> _Masks | None:
    """Return what there is of `classes`, None where there is nothing."""
    if isinstance(result, PanopticResult):
        places, masks = thing_runs(result)
        segments = [result.segments[place] for place in places]
        chosen = [place for place, item in enumerate(segments) if item.area and item.class_id in classes]
        if not chosen:
            return None
        things = [segments[place] for place in chosen]
        masks = masks if len(chosen) == len(segments) else masks.taken(chosen)
        areas = np.array([item.area for item in things])
        return _Masks([item.track_id for item in things], [item.class_id for item in things], masks, areas)
    if isinstance(result, InstanceResult):
        found = [item for item in result if item.class_id in classes]
        masks = MaskRuns.of_rles([item.rle for item in found])
        areas = masks.measure()[0]
        kept = np.flatnonzero(areas).tolist()
        if not kept:
            return None
        if len(kept) < len(found):
            parts = [masks.runs[masks.starts[place] : masks.starts[place + 1]] for place in kept]
            masks = MaskRuns.of_parts(parts, by_columns=True)
        tracks = [found[place].track_id for place in kept]
        known = [None if track is None or track < 0 else track for track in tracks]
        return _Masks(known, [found[place].class_id for place in kept], masks, areas[kept])
    return None
