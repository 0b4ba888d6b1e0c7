"""A track: what is known of one object of a video."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from segrt.runtime.tracking.followed_things import Things

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

    What was seen last has `box`, and was seen when the track's centre (x, y) was `seen_at`; `mask`, runs int32 (R, 3),
    is the last of the whole thing, not of a part that stood out behind another, with `area` pixels, seen at the time
    `whole` and the centre `anchor`. `place` says which thing of the newest result it is, None where it is lost;
    `colors` (512,) says how many of its pixels had which colour when it was whole, where colours count.
    """

    born: float
    path: deque[tuple[float, float, float]]
    class_id: int = 0
    name: str = ""
    score: float = 0.0
    last_seen: float = 0.0
    seen_at: tuple[float, float] = (0.0, 0.0)
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    mask: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    area: int = 0
    anchor: tuple[float, float] = (0.0, 0.0)
    whole: float = 0.0
    place: int | None = None
    state: State = "new"
    track_id: int = 0
    age: int = 1
    seen: int = 0
    colors: npt.NDArray[np.float64] | None = None

    def see(self, things: Things, index: int, names: Sequence[str], centre: tuple[float, float], now: float) -> None:
        """Take in the thing of this index, seen at `now`; then the track's own centre is at `centre`."""
        self.class_id, self.score, _, (x0, y0, x1, y1) = things.listed[index]
        self.name, self.box = names[self.class_id], (x0, y0, x1, y1)
        self.place, self.last_seen, self.seen_at = things.places[index], now, (centre[0], centre[1])
        self.seen += 1
        self.path.append((now, (x0 + x1) / 2, (y0 + y1) / 2))

    def see_whole(self, things: Things, index: int, now: float) -> None:
        """Keep the mask of this thing, which has just been seen, as that of the whole object."""
        self.mask, self.area = things.parts[index], things.listed[index][2]
        self.anchor, self.whole = self.seen_at, now

    def shown(self) -> Track:
        """Return what others may see of it."""
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
            box=self.box,
            path=tuple(self.path),
        )
