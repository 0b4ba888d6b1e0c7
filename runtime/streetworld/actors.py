"""What moves: the things of a world and where each of them is at a given time.

Every path is a function of time alone, so that any frame can be rendered without those before it and a thing keeps
its id for as long as it lives. A thing that leaves at one end and enters again at the other is another thing: it gets
another look and another id.
"""

import math
from dataclasses import dataclass

import numpy as np

from segrt.runtime.streetworld.sprites import Pose
from segrt.runtime.streetworld.street_layout import Layout

STRIDE = {"person": 1.4, "dog": 0.7, "cyclist": 2.6, "car": 2.1, "bus": 3.1}  # metres per turn of legs or wheels
HALF_SIZE = {"car": 2.2, "bus": 4.8, "person": 0.4, "cyclist": 0.9, "traffic light": 0.3, "dog": 0.6}  # metres


@dataclass(frozen=True)
class Placed:
    """A thing at one moment: its id, class, place on the ground in metres, pose and look."""

    id: int
    name: str
    x: float
    z: float
    pose: Pose
    mirrored: bool
    look: int  # seed of the appearance


@dataclass(frozen=True)
class Actor:
    """A thing and its path: "across" (along x), "along" (along z, one way), "stroll" (to and fro) or "stand"."""

    index: int
    name: str
    path: str
    start: float  # where on the path at time 0, in metres
    low: float
    high: float
    speed: float  # metres a second, signed
    fixed: float  # the coordinate that stays: z for "across", x otherwise
    along_x: bool
    facing: str
    mirrored: bool
    look: int

    def at(self, time: float, signal: int, lamps: bool) -> Placed:
        """Return where the thing is and how it looks at `time` seconds."""
        travelled = self.start - self.low + self.speed * time
        span = max(self.high - self.low, 1e-6)
        generation, mirrored, facing = 0, self.mirrored, self.facing
        if self.path in ("across", "along"):
            generation = math.floor(travelled / span)
            place = self.low + travelled - generation * span
        elif self.path == "stroll":
            turn = travelled % (2 * span)
            back = turn > span
            place = self.low + (2 * span - turn if back else turn)
            mirrored ^= back
            if back and facing in ("front", "back"):
                facing = "back" if facing == "front" else "front"
        else:
            place = self.start
        x, z = (place, self.fixed) if self.along_x else (self.fixed, place)
        phase = self.speed * time / STRIDE.get(self.name, 1.0) + self.look % 97 / 97
        return Placed(
            id=1 + self.index + 256 * (generation % 4096),
            name=self.name,
            x=x,
            z=z,
            pose=Pose(facing, phase % 1.0, signal, lamps),
            mirrored=mirrored,
            look=self.look + 7919 * generation,
        )


def make_actors(random: np.random.Generator, layout: Layout, busy: float) -> tuple[Actor, ...]:
    """Draw the things of a world, `busy` scaling how many; the order of the draws is what a seed stands for."""
    cast = _Cast(random, layout, busy)
    _add_traffic(cast)
    _add_crossing(cast)
    _add_cyclists(cast)
    _add_people(cast)
    _add_dogs_and_lights(cast)
    return tuple(cast.actors)


class _Cast:
    """The things drawn so far, and what is drawn for each of them."""

    def __init__(self, random: np.random.Generator, layout: Layout, busy: float) -> None:
        self.random, self.layout, self._busy = random, layout, busy
        self.actors: list[Actor] = []

    def add(
        self, name: str, path: str, low: float, high: float, speed: float, fixed: float, facing: str = "side"
    ) -> None:
        self.actors.append(
            Actor(
                index=len(self.actors),
                name=name,
                path=path,
                start=self.random.uniform(low, high),
                low=low,
                high=high,
                speed=speed,
                fixed=fixed,
                along_x=facing == "side",
                facing=facing,
                mirrored=facing == "side" and speed < 0,
                look=int(self.random.integers(1 << 40)),
            )
        )

    def cross(self, name: str, z: float, speed: float) -> None:
        camera = self.layout.camera
        end = camera.half_width(z) + abs(0.5 - camera.vanishing) * z / camera.focal + HALF_SIZE[name] + 0.3
        self.add(name, "across", -end, end, speed * self.random.choice([-1, 1]), z)

    def count(self, mean: float) -> int:
        return int(self.random.poisson(mean * self._busy))

    def side(self) -> int:
        return int(self.random.choice([-1, 1]))

    def depth(self, near: float, far: float) -> float:
        return float(1.0 / self.random.uniform(1.0 / far, 1.0 / near))


def _add_traffic(cast: _Cast) -> None:
    """Add what drives along the street, keeping right, and what is parked."""
    random, layout = cast.random, cast.layout
    for _ in range(cast.count(1.9)):
        name = "bus" if random.random() < 0.2 else "car"
        side = cast.side()
        speed = side * random.uniform(4, 9)
        lane = layout.road_x + side * layout.road_half * random.uniform(0.4, 0.58)
        cast.add(name, "along", 1.5, 48.0, speed, lane, "back" if side > 0 else "front")
    for _ in range(cast.count(0.7)):
        side = cast.side()
        z = cast.depth(6, 26)
        cast.add("car", "stand", z, z, 0.0, layout.kerb(side) - side * 1.1, "back" if side > 0 else "front")


def _add_crossing(cast: _Cast) -> None:
    """Add what drives from side to side."""
    random, junction = cast.random, cast.layout.junction
    for _ in range(cast.count(1.9 if junction else 0.9)):
        name = str(random.choice(["car", "bus", "cyclist"], p=[0.56, 0.2, 0.24]))
        if junction:
            z = random.uniform(junction[0] + 1.0, junction[1] - 0.5)
        else:
            z = cast.depth(9 if name == "bus" else 6, 22)
        cast.cross(name, z, random.uniform(2.5, 5) if name == "cyclist" else random.uniform(4, 8))


def _add_cyclists(cast: _Cast) -> None:
    """Add riders across and along the street."""
    random, layout = cast.random, cast.layout
    for _ in range(cast.count(1.0)):
        cast.cross("cyclist", cast.depth(5, 16), random.uniform(2.5, 5))
    for _ in range(cast.count(0.6)):
        side = cast.side()
        place = layout.kerb(side) - side * 0.7
        facing = "back" if side > 0 else "front"
        cast.add("cyclist", "along", 1.5, 24.0, side * random.uniform(2.5, 4.5), place, facing)


def _add_people(cast: _Cast) -> None:
    """Add people across the picture, along the pavements, and standing."""
    random, layout = cast.random, cast.layout
    for _ in range(cast.count(2.0)):
        cast.cross("person", cast.depth(4.5, 17), random.uniform(0.8, 1.7))
    for _ in range(cast.count(1.4)):
        side = cast.side()
        place = layout.kerb(side) + side * random.uniform(0.4, max(layout.pavement_width(side), 1.2))
        cast.add("person", "stroll", 4.0, random.uniform(12, 18), random.uniform(0.8, 1.6), place, "back")
    for _ in range(cast.count(0.8)):
        z = cast.depth(4.5, 14)
        place = random.uniform(-1, 1) * layout.camera.half_width(z)
        cast.add("person", "stand", z, z, 0.0, place, str(random.choice(["front", "back"])))


def _add_dogs_and_lights(cast: _Cast) -> None:
    random, layout = cast.random, cast.layout
    for _ in range(cast.count(1.1)):
        cast.cross("dog", cast.depth(3.6, 10), random.uniform(0.8, 2.2))
    for _ in range(cast.count(1.5)):
        side = cast.side()
        z = layout.junction[0] - 1.0 if layout.junction and random.random() < 0.4 else cast.depth(6, 20)
        place = layout.kerb(side) + side * random.uniform(0.3, 0.9)
        cast.add("traffic light", "stand", z, z, 0.0, place, "front")
