"""Things that meet on a clip: walkers that cross each other's way, and traffic that hides who stands behind it."""

from typing import Literal

import numpy as np

from segrt.runtime.streetworld.actors import HALF_SIZE, Actor
from segrt.runtime.streetworld.street_layout import Layout

_SLOW = 0.9, 1.7  # metres a second: a walker
_QUICK = 4.0, 7.0  # what drives across


def make_meetings(seed: int, layout: Layout, first: int, count: int, duration: float) -> tuple[Actor, ...]:
    """Return the things of `count` meetings, each in view at a moment within `duration` seconds; indices from `first`.

    By turns two walk past each other, almost at one distance, and a bus or car passes before somebody.
    """
    random = np.random.default_rng([seed, 3])
    actors: list[Actor] = []
    for number in range(count):
        stage = _Stage(random, layout, first + len(actors), float(duration * random.uniform(0.25, 0.75)))
        actors += stage.passing() if number % 2 == 0 else stage.hiding()
    return tuple(actors)


class _Stage:
    """One meeting: its moment, and the draws that make its things."""

    def __init__(self, random: np.random.Generator, layout: Layout, first: int, moment: float) -> None:
        self._random, self._layout, self._next, self._moment = random, layout, first, moment

    def passing(self) -> list[Actor]:
        """Two of the same class walk or run past each other, the nearer one in front of the other."""
        name = str(self._random.choice(["person", "person", "dog"]))
        z = float(self._random.uniform(5.0, 9.0))
        x = self._seen_x(z)
        way = int(self._random.choice([-1, 1]))
        return [
            self._across(name, x, z + gap, side * float(self._random.uniform(*_SLOW)))
            for side, gap in ((way, 0.35), (-way, 0.0))
        ]

    def hiding(self) -> list[Actor]:
        """Somebody stands or walks, and a bus or car passes in front."""
        name = str(self._random.choice(["bus", "bus", "car"]))
        z = float(self._random.uniform(8.0, 13.0))
        x = self._seen_x(z)
        walks = bool(self._random.random() < 0.5)
        way = int(self._random.choice([-1, 1]))
        speed = float(self._random.uniform(*_SLOW))
        behind = self._across("person", x, z, -way * speed) if walks else self._standing("person", x, z)
        before = self._across(name, x * (z - 1.3) / z, z - 1.3, way * float(self._random.uniform(*_QUICK)))
        return [behind, before]

    def _seen_x(self, z: float) -> float:
        """Draw a place in the middle of what the picture shows at distance z."""
        camera = self._layout.camera
        return (float(self._random.uniform(0.3, 0.7)) - camera.vanishing) * z / camera.focal

    def _across(self, name: str, x: float, z: float, speed: float) -> Actor:
        """Return what comes from side to side and is at x at the meeting's moment."""
        camera = self._layout.camera
        end = camera.half_width(z) + abs(0.5 - camera.vanishing) * z / camera.focal + HALF_SIZE[name] + 0.3
        start = -end + (x - speed * self._moment + end) % (2 * end)
        return self._actor(name, "across", (start, -end, end), speed, z, "side")

    def _standing(self, name: str, x: float, z: float) -> Actor:
        return self._actor(name, "stand", (z, z, z), 0.0, x, str(self._random.choice(["front", "back"])))

    def _actor(
        self,
        name: str,
        path: Literal["across", "stand"],
        way: tuple[float, float, float],
        speed: float,
        fixed: float,
        facing: str,
    ) -> Actor:
        """Return the next thing; `way` is where it starts and between which ends it moves."""
        start, low, high = way
        index, self._next = self._next, self._next + 1
        return Actor(
            index=index,
            name=name,
            path=path,
            start=start,
            low=low,
            high=high,
            speed=speed,
            fixed=fixed,
            along_x=facing == "side",
            facing=facing,
            mirrored=facing == "side" and speed < 0,
            look=int(self._random.integers(1 << 40)),
        )
