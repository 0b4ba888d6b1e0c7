"""Clips of the street with lasting truth: every thing has one id over the whole clip, also after it was hidden.

    for frame in StreetClip(seed=7, frames=100):
        frame.image                                 # uint8 BGR (H, W, 3)
        frame.truth                                 # PanopticResult; each segment's track_id is its id in the map

A clip is a pure function of its fields. It is the street that `StreetWorld` shows, with `meetings` added, so that
things cross each other's way and are hidden for a while in every clip.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.results.labels.label import Label
from segrt.runtime.results.panoptic import PanopticResult, Segment
from segrt.runtime.results.remap import remap
from segrt.runtime.streetworld.meetings import make_meetings
from segrt.runtime.streetworld.taxonomy import street_labels
from segrt.runtime.streetworld.world import StreetView, StreetWorld

LABELS: tuple[Label, ...] = street_labels()


@dataclass(frozen=True, eq=False)
class ClipFrame:
    """One frame of a clip: its number, its time in seconds, the picture uint8 BGR (H, W, 3), and what it shows.

    `truth` names stuff by one id a class and things by their lasting ids; things with fewer than 16 visible pixels are
    void (0), since nobody could tell what they are.
    """

    index: int
    pts: float
    image: npt.NDArray[np.uint8]
    truth: PanopticResult


@dataclass(frozen=True)
class StreetClip:
    """`frames` pictures (height, width) of the street of `seed`, `fps` a second, with `meetings` of things.

    `weather` fixes the condition, the seed decides otherwise; `busy` scales how full the street is besides.
    """

    seed: int
    frames: int = 100
    size: tuple[int, int] = (192, 320)
    fps: float = 12.5
    meetings: int = 4
    weather: str | None = None
    busy: float = 1.0

    @property
    def name(self) -> str:
        """What files call the clip."""
        return f"street-{self.seed:06d}"

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.frames

    def __iter__(self) -> Iterator[ClipFrame]:
        """Render one frame after the other."""
        return (self.frame(index) for index in range(self.frames))

    def frame(self, index: int) -> ClipFrame:
        """Render frame `index` alone; those before it do not matter."""
        pts = index / self.fps
        view = self._world.render(pts, self.size)
        return ClipFrame(index, pts, view.image, lasting_truth(view))

    @cached_property
    def _world(self) -> StreetWorld:
        world = StreetWorld(self.seed, weather=self.weather, busy=self.busy)
        extra = make_meetings(self.seed, world.layout, len(world.actors), self.meetings, self.frames / self.fps)
        return world.with_actors(extra)


def lasting_truth(view: StreetView) -> PanopticResult:
    """Return what a view shows as a result whose segments have track ids; what is too small to be told is void."""
    kept = [segment for segment in view.segments if not segment.iscrowd]
    ids = view.segment_ids
    if len(kept) < len(view.segments):
        ids = remap(ids, {segment.id: segment.id for segment in kept}, default=0, dtype=np.dtype(np.int32))
    segments = []
    for segment in kept:
        x, y, width, height = cv2.boundingRect((ids == segment.id).view(np.uint8))
        isthing = LABELS[segment.class_id].isthing
        box = (x, y, width, height)
        segments.append(Segment(segment.id, segment.class_id, isthing, 1.0, segment.area, box, track_id=segment.id))
    return PanopticResult(ids, segments, LABELS, image=view.image)
