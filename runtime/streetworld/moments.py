"""Which moments of which worlds are rendered: many streets, or one street as it moves."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segrt.runtime.streetworld.world import StreetView, StreetWorld

LONGEST_DRAWN_TIME = 30.0  # seconds
EDGES = (10, 8192)  # pixels, the least and the most that a picture's height and width may be


def scattered(first_seed: int, count: int, size: tuple[int, int]) -> "Iterator[StreetView]":
    """Render `count` worlds from `first_seed` on, each at one moment that its seed draws."""
    for seed in range(first_seed, first_seed + count):
        yield StreetWorld(seed).render(drawn_time(seed), size)


def drawn_time(seed: int) -> float:
    """Return the moment in seconds that stands for a world of which one picture is taken."""
    return float(np.random.default_rng([seed, 2]).uniform(0, LONGEST_DRAWN_TIME))


@dataclass(frozen=True)
class Clip:
    """A clip of one street: `frames` pictures (height, width) of the world of `seed`, `fps` a second."""

    seed: int
    frames: int
    size: tuple[int, int] = (360, 640)
    fps: float = 25.0
    start: float = 0.0
    weather: str | None = None
    busy: float = 1.0

    def __iter__(self) -> Iterator[StreetView]:
        """Render one view after the other."""
        world = StreetWorld(self.seed, weather=self.weather, busy=self.busy)
        for index in range(self.frames):
            yield world.render(self.start + index / self.fps, self.size)
