"""A track: what is known of one object of a video."""

from dataclasses import dataclass
from typing import Literal

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
