"""A tracker: gives the things of each frame the ids of the objects that they are."""

import math
from collections import deque
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.postproc import color_counts
from segrt.runtime.results import InstanceResult, PanopticResult
from segrt.runtime.tracking.appearance import LOOKED_AT
from segrt.runtime.tracking.assignment import check_scipy
from segrt.runtime.tracking.box_overlap import Floats, box_iou
from segrt.runtime.tracking.camera_motion import CameraMotion
from segrt.runtime.tracking.followed_things import Things, things_of
from segrt.runtime.tracking.lasting_ids import LastingIds
from segrt.runtime.tracking.limits import Bools, Limits
from segrt.runtime.tracking.matching import Fits, Pairs, fits_of, match
from segrt.runtime.tracking.motion import Motion
from segrt.runtime.tracking.scene_cuts import SceneCuts
from segrt.runtime.tracking.track import Record, Track
from segrt.runtime.tracking.tracker_options import TrackerOptions

_R = TypeVar("_R", bound=InstanceResult | PanopticResult)

_HIDDEN = 0.1  # share of a track's mask that must be covered for what is seen to be but a part of it
_EXPLAINED = 0.5  # IoU with what is not covered that makes it so
_WHOLE_SECONDS = 4.0  # for so long what is seen is taken for a part; then it is the whole
_GAP = 3.0  # so many times as long as between the frames before is no longer the next frame
_SAME_PLACE = 0.5  # IoU of the boxes of what has not moved away between two frames
_FEWEST_SAME = 3  # things that tell, where they are still in their places, that there was no cut
_NEW_COLORS = 0.3  # share of the newest frame in a track's colours


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
        self._records: list[Record] = []
        self._motion = Motion()
        self._cuts = SceneCuts() if self.options.cuts else None
        self._camera = CameraMotion() if self.options.camera_motion else None

    @property
    def tracks(self) -> list[Track]:
        """The tracks that have an id, those that are lost included, in the order of their birth."""
        return [record.shown() for record in self._records if record.track_id]

    def reset(self) -> None:
        """End all tracks; ids go on counting, and stuff keeps its own."""
        self._records, self._motion = [], Motion()
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
        colors = None
        if self.options.appearance > 0 and image is not None:
            colors = color_counts(image, things.masks, LOOKED_AT)
        fits = fits_of(self._records, self._motion, things, colors, self.options)
        fits.near[self._has_left(result.size)] = 0
        pairs = match(fits, self._records, kinds, self.options)
        self._go_on(pairs, fits, things, colors, now)
        self._lose({row for row, _ in pairs})
        free = kinds.may_begin
        free[[column for _, column in pairs]] = False
        self._bear(free, things, colors, now)
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
        seen = [record for record in self._records if record.state != "lost"]
        fewer = min(len(seen), len(things))
        if fewer < _FEWEST_SAME:
            return False
        iou = box_iou(np.array([record.box for record in seen]), things.boxes)
        iou[np.array([record.class_id for record in seen])[:, None] != things.class_ids] = 0
        same = int((iou.max(axis=1) >= _SAME_PLACE).sum())
        return same >= max(_FEWEST_SAME, fewer / 2)

    def _predict(self, now: float, elapsed: float, things: Things, image: npt.NDArray[Any] | None) -> None:
        """Move the tracks to where they should be now; end those that have been lost for too long."""
        limits = self._limits.lost_seconds
        # What was seen in the frame before is looked for in this one, however slowly frames come.
        gap = self._interval is not None and elapsed > _GAP * self._interval
        live = [
            now - record.last_seen <= limits[record.class_id] + 1e-6 or (record.state != "lost" and not gap)
            for record in self._records
        ]
        self._keep(np.array(live, bool))
        self._interval = elapsed or self._interval
        for record in self._records:
            record.age += 1
        self._motion.predict(elapsed, np.array([record.state == "lost" for record in self._records], bool))
        if self._camera is not None and image is not None:
            affine = self._camera.since_last(image, things.boxes)
            if affine is not None:
                self._motion.warp(affine)

    def _has_left(self, size: tuple[int, int]) -> Bools:
        """Say which lost tracks should be outside a picture of `size` (H, W): what comes in there is another thing."""
        x, y = self._motion.place[:, 0], self._motion.place[:, 1]
        lost = np.array([record.state == "lost" for record in self._records], bool)
        left: Bools = lost & ((x < 0) | (y < 0) | (x > size[1]) | (y > size[0]))
        return left

    def _go_on(self, pairs: Pairs, fits: Fits, things: Things, colors: Floats | None, now: float) -> None:
        """Let tracks go on with the things that are theirs."""
        if not pairs:
            return
        rows, columns = (np.array(side, np.intp) for side in zip(*pairs, strict=True))
        recent = np.array([now - self._records[row].whole <= _WHOLE_SECONDS for row in rows.tolist()])
        part = (fits.hidden[rows, columns] > _HIDDEN) & (fits.visible[rows, columns] > _EXPLAINED) & recent
        self._motion.correct(rows, things.boxes[columns], part)
        anchors = self._motion.place[rows, :2].tolist()
        for (row, column), is_part, anchor in zip(pairs, part.tolist(), anchors, strict=True):
            record = self._records[row]
            record.see(things, column, self._limits.names, anchor, now)
            if not is_part:
                record.see_whole(things, column, now)
                if record.colors is not None and colors is not None:
                    record.colors = record.colors + _NEW_COLORS * (colors[column] - record.colors)
            self._confirm(record)

    def _lose(self, seen: set[int]) -> None:
        """Mark the tracks that were not seen as lost; those without an id end."""
        for row, record in enumerate(self._records):
            if row not in seen:
                record.state, record.place = "lost", None
        self._keep(np.array([record.track_id > 0 or record.place is not None for record in self._records], bool))

    def _bear(self, free: Bools, things: Things, colors: Floats | None, now: float) -> None:
        """Begin a track at each thing that is free to."""
        columns = np.flatnonzero(free)
        self._motion.add(things.boxes[columns])
        anchors = self._motion.place[len(self._records) :, :2].tolist()
        for column, anchor in zip(columns.tolist(), anchors, strict=True):
            record = Record(born=now, path=deque(maxlen=self.options.path_points))
            record.see(things, column, self._limits.names, anchor, now)
            record.see_whole(things, column, now)
            record.colors = None if colors is None else colors[column].copy()
            self._confirm(record)
            self._records.append(record)

    def _confirm(self, record: Record) -> None:
        if record.track_id == 0 and record.seen >= self._limits.confirm_frames[record.class_id]:
            record.track_id = self._ids.next()
        record.state = "tracked" if record.track_id else "new"

    def _keep(self, kept: Bools) -> None:
        if not kept.all():
            self._records = [record for record, keeps in zip(self._records, kept.tolist(), strict=True) if keeps]
            self._motion.keep(np.flatnonzero(kept))

    def _ids_in(self, result: InstanceResult | PanopticResult) -> list[int | None]:
        """Return the id of each thing and segment of the result, None where there is none."""
        ids: list[int | None] = [None] * len(result)
        for record in self._records:
            if record.place is not None and record.track_id:
                ids[record.place] = record.track_id
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
