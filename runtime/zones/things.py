"""What zones look at in a result: each thing with its track, its centre and how much of it is in which zone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segrt.runtime.files.images import quiet_cv2
from segrt.runtime.postproc import count_overlaps
from segrt.runtime.results import InstanceResult, PanopticResult, Result, rle
from segrt.runtime.zones.run_sums import centre, overlap, runs_of
from segrt.runtime.zones.zone_masks import ZoneMask


@dataclass(frozen=True)
class Thing:
    """`track_id` is None where nothing was tracked; `shares` of its mask, 0 to 1, are in the zones, in their order.

    `centre` is its mask's, (x, y) in pixels, None where it was not asked for.
    """

    track_id: int | None
    class_id: int
    shares: tuple[float, ...]
    centre: tuple[float, float] | None = None


def things_of(result: Result, masks: Sequence[ZoneMask], classes: frozenset[int], *, centres: bool) -> list[Thing]:
    """Return the things of `classes` in a result, in its order; empty masks are none. Semantic results have none."""
    if isinstance(result, PanopticResult):
        return _of_segments(result, masks, classes, centres)
    return _of_instances(result, masks, classes, centres) if isinstance(result, InstanceResult) else []


def _of_segments(
    result: PanopticResult, masks: Sequence[ZoneMask], classes: frozenset[int], centres: bool
) -> list[Thing]:
    things = [item for item in result.segments if item.isthing and item.area and item.class_id in classes]
    if not things:
        return []
    ids = result.segment_ids
    shares = np.zeros((len(things), len(masks)))
    for column, mask in enumerate(masks):
        near = [row for row, item in enumerate(things) if mask.meets(*_edges(item.bbox))]
        if near:
            counted = count_overlaps(ids[mask.cut], mask.inside, [things[row].id for row in near], [1])
            shares[near, column] = counted[1:, 1] / [things[row].area for row in near]
    found = []
    for item, row in zip(things, shares.tolist(), strict=True):
        middle = None
        if centres:
            left, top, right, bottom = _edges(item.bbox)
            part = (ids[top:bottom, left:right] == item.id).view(np.uint8)
            moments = quiet_cv2().moments(part, binaryImage=True)
            if moments["m00"]:
                middle = (left + moments["m10"] / moments["m00"] + 0.5, top + moments["m01"] / moments["m00"] + 0.5)
        found.append(Thing(item.track_id, item.class_id, tuple(row), middle))
    return found


def _of_instances(
    result: InstanceResult, masks: Sequence[ZoneMask], classes: frozenset[int], centres: bool
) -> list[Thing]:
    areas, extents = rle.measure(result.rles)
    found = []
    for item, area, box in zip(result, areas.tolist(), extents.tolist(), strict=True):
        if not area or item.class_id not in classes:
            continue
        near = [mask.meets(*box) for mask in masks]
        runs = runs_of(item.rle) if centres or any(near) else None
        shares = [0.0] * len(masks)
        for column, mask in enumerate(masks):
            if runs is not None and near[column]:
                shares[column] = overlap(runs, mask.inside_before, mask.left * mask.height) / area
        middle = centre(runs, result.size[0]) if centres and runs is not None else None
        track_id = None if item.track_id is None or item.track_id < 0 else item.track_id
        found.append(Thing(track_id, item.class_id, tuple(shares), middle))
    return found


def _edges(bbox: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x, y, width, height = bbox
    return x, y, x + width, y + height
