"""Which thing goes on with which track: ByteTrack's cascade, with masks.

Similarity is the IoU of masks, the track's last one moved as its box was predicted to move, or that of the boxes,
whichever is greater: masks tell things apart that cover each other, boxes survive a change of shape.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns
from segrt.runtime.tracking.assignment import assign
from segrt.runtime.tracking.limits import Bools, Kinds
from segrt.runtime.tracking.similarity import Floats, box_iou, mask_iou
from segrt.runtime.tracking.things import Things
from segrt.runtime.tracking.track import Record
from segrt.runtime.tracking.tracker_options import TrackerOptions

Pairs = list[tuple[int, int]]

_WEAK_OVERLAP = 0.4  # what weak things must have at least
_OTHER_CLASS = 0.5  # what similarity is worth between classes, where they may differ


def match(
    records: Sequence[Record],
    boxes: Floats,
    things: Things,
    kinds: Kinds,
    colors: Floats | None,
    options: TrackerOptions,
) -> Pairs:
    """Return the pairs (track, thing) of a frame; `boxes` (N, 4) are where the tracks are predicted to be.

    Strong things look for their track among all that have an id, then weak ones among those seen a frame before, then
    strong ones among tracks without an id yet; last what overlaps nothing within reach. `colors` are the things'
    histograms, where colours count.
    """
    if not records or not len(things):
        return []
    overlap, near = _similarities(records, boxes, things, colors, options)
    confirmed = np.array([record.track_id > 0 for record in records])
    seen = np.array([record.state != "lost" for record in records])
    rounds: tuple[tuple[Floats, float, Bools, Bools], ...] = (
        (overlap, options.overlap, confirmed, kinds.strong),
        (overlap, max(options.overlap, _WEAK_OVERLAP), confirmed & seen, kinds.weak),
        (overlap, options.overlap, ~confirmed, kinds.strong),
        (near, options.overlap, confirmed, kinds.strong),
    )
    pairs: Pairs = []
    free_rows, free_columns = np.ones(len(records), bool), np.ones(len(things), bool)
    for similarity, least, rows, columns in rounds:
        possible = np.ix_(free_rows & rows, free_columns & columns)
        part = similarity[possible]
        if not part.size:
            continue
        found = assign(np.where(part >= max(least, 1e-9), part, 0.0))
        taken = [(int(possible[0][row, 0]), int(possible[1][0, column])) for row, column in found]
        for row, column in taken:
            free_rows[row] = free_columns[column] = False
        pairs += taken
    return pairs


def _similarities(
    records: Sequence[Record], boxes: Floats, things: Things, colors: Floats | None, options: TrackerOptions
) -> tuple[Floats, Floats]:
    """Return for each pair how far it overlaps, and how near it is; 0 where classes forbid it."""
    last = np.array([record.box for record in records])
    shifts = (boxes[:, :2] + boxes[:, 2:] - last[:, :2] - last[:, 2:]) / 2
    masks = MaskRuns.joined([record.mask for record in records], by_columns=things.masks.by_columns)
    areas = np.array([record.area for record in records], np.int64)
    overlap = np.maximum(mask_iou(masks, areas, shifts, things.masks, things.areas), box_iou(boxes, things.boxes))
    near = box_iou(boxes, things.boxes, enlarged=options.reach) if options.reach else np.zeros_like(overlap)
    worth: npt.NDArray[np.float64] = np.where(
        np.array([record.class_id for record in records])[:, None] == things.class_ids,
        1.0,
        _OTHER_CLASS if options.across_classes else 0.0,
    )
    if colors is not None:
        known = np.array([record.colors for record in records])
        alike = np.minimum(known[:, None], colors[None]).sum(axis=-1)
        worth = worth * (1 - options.appearance + options.appearance * alike)
    return overlap * worth, near * worth
