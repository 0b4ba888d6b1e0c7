"""Which thing goes on with which track: ByteTrack's cascade, with masks.

Similarity is the IoU of masks, the track's last one moved as its box was predicted to move, or that of the boxes,
whichever is greater: masks tell things apart that cover each other, boxes survive a change of shape.
"""

from dataclasses import dataclass

import numpy as np

from segrt.runtime.postproc import FitWorth, TrackRows, fit_tracks
from segrt.runtime.tracking.assignment import assign
from segrt.runtime.tracking.box_overlap import Floats
from segrt.runtime.tracking.followed_things import Things
from segrt.runtime.tracking.limits import Bools, Kinds
from segrt.runtime.tracking.motion import Motion
from segrt.runtime.tracking.track_table import Ints, TrackTable
from segrt.runtime.tracking.tracker_options import TrackerOptions

_UNSEEN = 0.9  # what the IoU of visible parts is worth
_SEEN_LAST = 0.9  # what the IoU with the box is worth that was seen last, parts of things included
_EMERGING = 0.3  # what it is worth that one holds the other
_TURNING = 3.0  # so many times as far as the filter's deviations: what is hidden may stop and turn
_GROWN = 64.0  # so many times as large as all that is known of a track, or as small as what it must show, is another
_WEAK_OVERLAP = 0.4  # what weak things must have at least
_OTHER_CLASS = 0.5  # what similarity is worth between classes, where they may differ


@dataclass(frozen=True, eq=False)
class Fits:
    """How tracks (N) and things (M) fit: `overlap` and `near` (N, M) from 0 to 1, `hidden` (N, M) pixels.

    `hidden` is the share of the track's mask that lies under other things than this one, or outside the picture;
    `visible` is the IoU of the thing with the rest of it.
    """

    overlap: Floats
    near: Floats
    hidden: Floats
    visible: Floats


def match(fits: Fits, tracks: TrackTable, kinds: Kinds, options: TrackerOptions) -> tuple[Ints, Ints]:
    """Return the pairs of a frame, tracks (K,) and things (K,).

    Strong things look for their track among all that have an id, then weak ones among those seen a frame before, then
    strong ones among tracks without an id yet; last what overlaps nothing within reach.
    """
    confirmed, seen = tracks.confirmed, ~tracks.lost
    rounds: tuple[tuple[Floats, float, Bools, Bools], ...] = (
        (fits.overlap, options.overlap, confirmed, kinds.strong),
        (fits.overlap, max(options.overlap, _WEAK_OVERLAP), confirmed & seen, kinds.weak),
        (fits.overlap, options.overlap, ~confirmed, kinds.strong),
        (fits.near, options.overlap, confirmed, kinds.strong),
    )
    nobody = np.zeros(0, np.intp)
    paired_tracks, paired_things = [nobody], [nobody]
    free_tracks, free_things = np.ones(len(confirmed), bool), np.ones(len(kinds.strong), bool)
    for similarity, least, of_tracks, of_things in rounds:
        rows, columns = (free_tracks & of_tracks).nonzero()[0], (free_things & of_things).nonzero()[0]
        if not rows.size or not columns.size:
            continue
        part = similarity[rows][:, columns]
        found_rows, found_columns = assign(np.where(part >= max(least, 1e-9), part, 0.0))
        rows, columns = rows[found_rows], columns[found_columns]
        free_tracks[rows] = free_things[columns] = False
        paired_tracks.append(rows)
        paired_things.append(columns)
    return np.concatenate(paired_tracks), np.concatenate(paired_things)


def fits_of(
    tracks: TrackTable,
    motion: Motion,
    things: Things,
    likely: Floats | None,
    options: TrackerOptions,
) -> Fits:
    """Compare tracks, where `motion` predicts them, with things; `likely` (N, M) says how well their colours fit.

    Two masks overlap by their IoU, the track's moved as its place was predicted to move, or by that of their boxes,
    which survives a change of shape. What is hidden counts in nobody's disfavour (a share `_UNSEEN` of that value): the
    union is then taken of what may be seen of the track. Things are near (`_EMERGING`) that hold what was seen before
    they came into view, or lie where the track may be by now, by how sure its place is. They keep
    a side of the track's box: what covers a thing, or lets it be seen, does not do so from all four sides at once.
    """
    rows = TrackRows(tracks.masks_beside(things), tracks.known, motion.predicted(_TURNING))
    other_class = _OTHER_CLASS if options.across_classes else 0.0
    worth = FitWorth(_UNSEEN, _SEEN_LAST, _EMERGING, other_class, options.reach, _GROWN)
    overlap, near, hidden, visible = fit_tracks(rows, things.masks, things.rows, things.size, worth)
    if likely is not None:
        overlap, near = np.minimum(overlap * likely, 1), np.minimum(near * likely, 1)
    return Fits(overlap, near, hidden, visible)
