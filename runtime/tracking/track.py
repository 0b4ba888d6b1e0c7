"""A track: what is known of one object of a video."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns
from segrt.runtime.tracking.things import Things

State = Literal["new", "tracked", "lost"]


@dataclass(frozen=True)
class Track:
    """One object of a video, as its tracker knows it after a frame.

    `score` and `box` (x0, y0, x1, y1 in pixels, of its mask) are those of the last frame that it was seen in. `state`:
    "tracked" when it was seen in the newest frame, else "lost". `born` and `last_seen` are times in seconds, as the
    frames have them; `age` counts the frames since its birth, `seen` those that it was seen in. `path` has the last
    centres of its box, (seconds, x, y), oldest first.
    """

    track_id: int
    class_id: int
    name: str
    score: float
    state: State
    born: float
    last_seen: float
    age: int
    seen: int
    box: tuple[float, float, float, float]
    path: tuple[tuple[float, float, float], ...]


@dataclass(eq=False)
class Record:
    """What a tracker keeps of a track beside its motion; `track_id` is 0 until it is confirmed.

    `mask` is the last that was seen as a whole, with `area` pixels, when the track's centre was at `anchor` (x, y); `box`
    is that of what was seen last, float64 (4,); `whole` is when it was last seen as a whole. `place` says which thing of
    the newest result it is, None where it is lost; `colors` is its histogram where colours count.
    """

    born: float
    path: deque[tuple[float, float, float]]
    class_id: int = 0
    name: str = ""
    score: float = 0.0
    last_seen: float = 0.0
    box: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    mask: MaskRuns = field(default_factory=MaskRuns.none)
    area: int = 0
    anchor: tuple[float, float] = (0.0, 0.0)
    whole: float = 0.0
    place: int | None = None
    state: State = "new"
    track_id: int = 0
    age: int = 1
    seen: int = 0
    colors: npt.NDArray[np.float64] | None = None

    def see(self, things: Things, index: int, names: Sequence[str], now: float) -> None:
        """Take in the thing of this index, seen at `now`."""
        self.class_id = int(things.class_ids[index])
        self.name = names[self.class_id]
        self.score = float(things.scores[index])
        self.box = things.boxes[index].copy()
        self.place, self.last_seen = things.places[index], now
        self.seen += 1
        x0, y0, x1, y1 = self.box.tolist()
        self.path.append((now, (x0 + x1) / 2, (y0 + y1) / 2))

    def see_whole(self, things: Things, index: int, anchor: Sequence[float], now: float) -> None:
        """Keep this thing's mask as that of the object, whose centre is at `anchor`."""
        self.mask, self.area = things.masks.one(index), int(things.areas[index])
        self.anchor, self.whole = (anchor[0], anchor[1]), now

    def shown(self) -> Track:
        """Return what others may see of it."""
        x0, y0, x1, y1 = self.box.tolist()
        return Track(
            track_id=self.track_id,
            class_id=self.class_id,
            name=self.name,
            score=self.score,
            state=self.state,
            born=self.born,
            last_seen=self.last_seen,
            age=self.age,
            seen=self.seen,
            box=(x0, y0, x1, y1),
            path=tuple(self.path),
        )
