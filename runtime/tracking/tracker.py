"""A tracker: gives the things of each frame the ids of the objects that they are."""

import math
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.postproc import color_counts
from segrt.runtime.results import InstanceResult, PanopticResult
from segrt.runtime.tracking.appearance import LOOKED_AT, UsualColors, likelihood
from segrt.runtime.tracking.assignment import check_scipy
from segrt.runtime.tracking.box_overlap import Floats, box_iou
from segrt.runtime.tracking.camera_motion import CameraMotion
from segrt.runtime.tracking.followed_things import Things, things_of
from segrt.runtime.tracking.lasting_ids import LastingIds
from segrt.runtime.tracking.limits import Bools, Limits
from segrt.runtime.tracking.matching import Fits, fits_of, match
from segrt.runtime.tracking.motion import Motion
from segrt.runtime.tracking.scene_cuts import SceneCuts
from segrt.runtime.tracking.track import Track
from segrt.runtime.tracking.track_table import Ints, TrackTable
from segrt.runtime.tracking.tracker_options import TrackerOptions

_R = TypeVar("_R", bound=InstanceResult | PanopticResult)

_HIDDEN = 0.1  # share of a track's mask that must be covered for what is seen to be but a part of it
_EXPLAINED = 0.5  # IoU with what is not covered that makes it so
_WHOLE_SECONDS = 4.0  # for so long what is seen is taken for a part; then it is the whole
_GAP = 3.0  # so many times as long as between the frames before is no longer the next frame
_SAME_PLACE = 0.5  # IoU of the boxes of what has not moved away between two frames
_FEWEST_SAME = 3  # things that tell, where they are still in their places, that there was no cut
_NEW_COLORS = 0.3  # share of the newest frame in a track's colours
_MOMENT = 0.2  # seconds
_KEPT = 0.7  # of similarity, whatever the colours of what was seen a moment ago


class Tracker:
    """Follows the things of one video; `update` takes its results frame by frame, in order.

    Ids start at 1, count up and are never used again; stuff has one id a class, for ever. The same results give the
    same ids, and a pickled tracker goes on where it was. Its memory is bounded by the tracks that live.

    All tracks end, and new ones begin, when time goes back, at a cut (`TrackerOptions.cuts`), and when the results'
    size, classes or technique change. A gap in time, as of a camera that was away, ends those that it outlasts
    (`TrackerOptions.lost_seconds`).
    """

    def __init__(self, options: TrackerOptions | None = None) -> None:
        check_scipy()
        self.options = options or TrackerOptions()
        self._ids = LastingIds()
        self._limits = Limits(TrackerOptions(), ())
        self._same: tuple[Any, ...] | None = None  # what stays from result to result of a video
        self._time: float | None = None
        self._interval: float | None = None  # seconds between the last two frames
        self._tracks = TrackTable()
        self._motion = Motion()
        self._usual = UsualColors()
        self._cuts = SceneCuts() if self.options.cuts else None
        self._camera = CameraMotion() if self.options.camera_motion else None

    @property
    def tracks(self) -> list[Track]:
        """The tracks that have an id, those that are lost included, in the order of their birth."""
        return self._tracks.shown(self._limits.names)

    def reset(self) -> None:
        """End all tracks; ids go on counting, and stuff keeps its own."""
        self._tracks, self._motion = TrackTable(), Motion()
        self._time = self._interval = None
        if self._camera is not None:
            self._camera.forget()

    def update(self, result: _R, pts: float | None = None, image: npt.NDArray[Any] | None = None) -> _R:
        """Return the next frame's `result` with an id for each thing that has a track, and for stuff.

        `pts` is the frame's time in seconds; without one, frames come at `TrackerOptions.frame_rate`. `image` is its
        picture, uint8 BGR (H, W, 3), by default the one that the result knows. Raises SegrtError for a semantic result,
        for a time that is none, and where the options want a picture and there is none.
        """
        things = things_of(result)
        image = _picture(result, image, needed=self.options.needs_pictures)
        now, elapsed = self._begin(result, pts, image, things)
        self._predict(now, elapsed, things, image)
        kinds = self._limits.kinds(things)
        colors = likely = None
        if self.options.appearance > 0 and image is not None:
            colors = color_counts(image, things.masks, LOOKED_AT)
            likely = self._likely(things, colors, now)
        fits = fits_of(self._tracks, self._motion, things, likely, self.options)
        fits.near[self._has_left(result.size)] = 0
        rows, columns = match(fits, self._tracks, kinds, self.options)
        self._tracks.rows["place"] = -1
        self._go_on(rows, columns, fits, things, colors, now)
        self._keep(self._tracks.confirmed | ~self._tracks.lost)
        kinds.may_begin[columns] = False
        self._bear(np.flatnonzero(kinds.may_begin), things, colors, now)
        self._tracks.gather_masks(things)
        tracked: _R = result.with_tracks(self._ids_in(result))  # type: ignore[assignment]  # of the same type
        return tracked

    def _begin(
        self, result: _R, pts: float | None, image: npt.NDArray[Any] | None, things: Things
    ) -> tuple[float, float]:
        """End all tracks where this frame does not follow the one before; return its time and how long that is ago."""
        if pts is not None and not math.isfinite(pts):
            raise SegrtError(f"tracking: pts must be seconds, or None where frames have no time, but got {pts}")
        same = (type(result), result.size, result.labels)
        if same != self._same:
            self._limits = Limits(self.options, result.labels)
            self._usual = UsualColors()
            self._same = same
            self.reset()
        before = self._time
        now = pts if pts is not None else 0.0 if before is None else before + 1 / self.options.frame_rate
        cut = self._cuts is not None and image is not None and self._cuts.is_cut(image) and not self._goes_on(things)
        if cut or (before is not None and now < before):
            self.reset()
        elapsed = 0.0 if self._time is None else now - self._time
        self._time = now
        return now, elapsed

    def _goes_on(self, things: Things) -> bool:
        """Say whether things go on where they were, so that a picture of other colours is no cut: a bus may fill it.

        Half of what was seen a frame before, or half of what is seen now, must; and three, for one may by chance.
        """
        seen = ~self._tracks.lost
        fewer = min(int(seen.sum()), len(things))
        if fewer < _FEWEST_SAME:
            return False
        iou = box_iou(self._tracks.rows["box"][seen], things.boxes)
        iou[self._tracks.class_ids[seen][:, None] != things.class_ids] = 0
        same = int((iou.max(axis=1) >= _SAME_PLACE).sum())
        return same >= max(_FEWEST_SAME, fewer / 2)

    def _predict(self, now: float, elapsed: float, things: Things, image: npt.NDArray[Any] | None) -> None:
        """Move the tracks to where they should be now; end those that have been lost for too long."""
        tracks, limits = self._tracks, self._limits.lost_seconds
        # What was seen in the frame before is looked for in this one, however slowly frames come.
        gap = self._interval is not None and elapsed > _GAP * self._interval
        live = now - tracks.rows["last_seen"] <= limits[tracks.class_ids] + 1e-6
        if not gap:
            live |= ~tracks.lost
        if not live.all():
            self._keep(live)
            tracks.gather_masks(things)
        self._interval = elapsed or self._interval
        tracks.rows["age"] += 1
        self._motion.predict(elapsed, tracks.lost)
        if self._camera is not None and image is not None:
            affine = self._camera.since_last(image, things.boxes)
            if affine is not None:
                self._motion.warp(affine)

    def _likely(self, things: Things, colors: Floats, now: float) -> Floats | None:
        """Return how likely the colours of each thing are each track's, (N, M); None where there are no tracks.

        What was seen a moment ago, and is still there, is not given up for its colours: a shadow may have fallen on it.
        """
        self._usual.take_in(things.class_ids, colors)
        if self._tracks.colors is None:
            return None
        usual = self._usual.of(self._tracks.class_ids)
        likely = likelihood(self._tracks.colors, usual, colors, self.options.appearance)
        just_seen = ~self._tracks.lost & (now - self._tracks.rows["last_seen"] <= _MOMENT)
        likely[just_seen] = np.maximum(likely[just_seen], _KEPT)
        return likely

    def _has_left(self, size: tuple[int, int]) -> Bools:
        """Say which lost tracks should be outside a picture of `size` (H, W): what comes in there is another thing."""
        x, y = self._motion.place[:, 0], self._motion.place[:, 1]
        left: Bools = self._tracks.lost & ((x < 0) | (y < 0) | (x > size[1]) | (y > size[0]))
        return left

    def _go_on(self, rows: Ints, columns: Ints, fits: Fits, things: Things, colors: Floats | None, now: float) -> None:
        """Let the tracks of `rows` go on with the things of `columns`, which are theirs."""
        if not rows.size:
            return
        tracks = self._tracks
        recent = now - tracks.rows["whole"][rows] <= _WHOLE_SECONDS
        part = (fits.hidden[rows, columns] > _HIDDEN) & (fits.visible[rows, columns] > _EXPLAINED) & recent
        self._motion.correct(rows, things.boxes[columns], part)
        tracks.see(rows, things, columns, self._motion.place[rows, :2], now)
        rows_whole, columns_whole = rows[~part], columns[~part]
        tracks.see_whole(rows_whole, things, columns_whole, now)
        if colors is not None and tracks.colors is not None:
            known = tracks.colors[rows_whole]
            tracks.colors[rows_whole] = known + _NEW_COLORS * (colors[columns_whole] - known)
        self._confirm(rows)

    def _bear(self, columns: Ints, things: Things, colors: Floats | None, now: float) -> None:
        """Begin a track at each thing of `columns`."""
        if not columns.size:
            return
        tracks = self._tracks
        self._motion.add(things.boxes[columns])
        rows = tracks.add(len(columns), now, self.options.path_points)
        tracks.see(rows, things, columns, self._motion.place[rows, :2], now)
        tracks.see_whole(rows, things, columns, now)
        if colors is not None:
            begun = colors[columns]
            tracks.colors = begun if tracks.colors is None else np.concatenate((tracks.colors, begun))
        self._confirm(rows)

    def _confirm(self, rows: Ints) -> None:
        """Give ids to the tracks of `rows` that have been seen often enough, in that order."""
        table = self._tracks.rows
        often = table["seen"][rows] >= self._limits.confirm_frames[self._tracks.class_ids[rows]]
        for row in rows[often & (table["track_id"][rows] == 0)].tolist():
            table["track_id"][row] = self._ids.next()

    def _keep(self, kept: Bools) -> None:
        if not kept.all():
            self._tracks.keep(kept)
            self._motion.keep(np.flatnonzero(kept))

    def _ids_in(self, result: InstanceResult | PanopticResult) -> list[int | None]:
        """Return the id of each thing and segment of the result, None where there is none."""
        ids: list[int | None] = [None] * len(result)
        known = self._tracks.rows[self._tracks.confirmed & ~self._tracks.lost]
        for place, track in zip(known["place"].tolist(), known["track_id"].tolist(), strict=True):
            ids[place] = track
        if isinstance(result, PanopticResult):
            for place, segment in enumerate(result.segments):
                if not segment.isthing:
                    ids[place] = self._ids.of_stuff(segment.name)
        return ids


def _picture(
    result: InstanceResult | PanopticResult, image: npt.NDArray[Any] | None, *, needed: bool
) -> npt.NDArray[Any] | None:
    """Return the picture of a result, None where there is none that can be looked at; raise SegrtError if `needed`."""
    image = getattr(result, "image", None) if image is None else image
    height, width = result.size
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == (height, width, 3):
        return image
    if needed:
        got = "none" if image is None else f"{getattr(image, 'dtype', type(image).__name__)} {np.shape(image)}"
        raise SegrtError(
            f"tracking: appearance and camera_motion need the result's picture, uint8 BGR ({height}, {width}, 3), but "
            f"got {got}; give it, update(result, pts, image), or leave both options out"
        )
    return None
