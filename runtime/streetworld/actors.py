"""What moves: the things of a world and where each of them is at a given time.

Every path is a function of time alone, so that any frame can be rendered without those before it and a thing keeps
its id for as long as it lives. A thing that leaves at one end and enters again at the other is another thing: it gets
another look and another id.
"""

import math
from dataclasses import dataclass

import numpy as np

from segrt.runtime.streetworld.scenery import Layout
from segrt.runtime.streetworld.sprites import Pose

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
    """Draw the things of a world; `busy` scales how many there are."""
    actors: list[Actor] = []

    def add(name: str, path: str, low: float, high: float, speed: float, fixed: float, facing: str = "side") -> None:
        actors.append(
            Actor(
                index=len(actors),
                name=name,
                path=path,
                start=random.uniform(low, high),
                low=low,
                high=high,
                speed=speed,
                fixed=fixed,
                along_x=facing == "side",
                facing=facing,
                mirrored=facing == "side" and speed < 0,
                look=int(random.integers(1 << 40)),
            )
        )

    def lane(side: int) -> float:
        return layout.road_x + side * layout.road_half * random.uniform(0.4, 0.58)

    def depth(near: float, far: float) -> float:
        return float(1.0 / random.uniform(1.0 / far, 1.0 / near))

    def cross(name: str, z: float, speed: float) -> None:
        reach = layout.camera.half_width(z) + abs(0.5 - layout.camera.vanishing) * z / layout.camera.focal
        end = reach + HALF_SIZE[name] + 0.3
        add(name, "across", -end, end, speed * random.choice([-1, 1]), z)

    def count(mean: float) -> int:
        return int(random.poisson(mean * busy))

    for _ in range(count(1.9)):  # traffic along the street, keeping right
        name = "bus" if random.random() < 0.2 else "car"
        side = int(random.choice([-1, 1]))
        add(name, "along", 1.5, 48.0, side * random.uniform(4, 9), lane(side), "back" if side > 0 else "front")
    for _ in range(count(0.7)):  # parked
        side = int(random.choice([-1, 1]))
        z = depth(6, 26)
        add("car", "stand", z, z, 0.0, layout.kerb(side) - side * 1.1, "back" if side > 0 else "front")
    for _ in range(count(1.9 if layout.junction else 0.9)):  # crossing from side to side
        name = str(random.choice(["car", "bus", "cyclist"], p=[0.56, 0.2, 0.24]))
        if layout.junction:
            z = random.uniform(layout.junction[0] + 1.0, layout.junction[1] - 0.5)
        else:
            z = depth(9 if name == "bus" else 6, 22)
        cross(name, z, random.uniform(2.5, 5) if name == "cyclist" else random.uniform(4, 8))
    for _ in range(count(1.0)):
        cross("cyclist", depth(5, 16), random.uniform(2.5, 5))
    for _ in range(count(0.6)):
        side = int(random.choice([-1, 1]))
        place = layout.kerb(side) - side * 0.7
        add("cyclist", "along", 1.5, 24.0, side * random.uniform(2.5, 4.5), place, "back" if side > 0 else "front")
    for _ in range(count(2.0)):  # people across the picture, on the crossing, the pavements or in the street
        cross("person", depth(4.5, 17), random.uniform(0.8, 1.7))
    for _ in range(count(1.4)):  # people along the pavements
        side = int(random.choice([-1, 1]))
        place = layout.kerb(side) + side * random.uniform(0.4, max(layout.pavement_width(side), 1.2))
        add("person", "stroll", 4.0, random.uniform(12, 18), random.uniform(0.8, 1.6), place, "back")
    for _ in range(count(0.8)):  # people who stand
        z = depth(4.5, 14)
        add(
            "person",
            "stand",
            z,
            z,
            0.0,
            random.uniform(-1, 1) * layout.camera.half_width(z),
            str(random.choice(["front", "back"])),
        )
    for _ in range(count(1.1)):
        cross("dog", depth(3.6, 10), random.uniform(0.8, 2.2))
    for _ in range(count(1.5)):
        side = int(random.choice([-1, 1]))
        z = layout.junction[0] - 1.0 if layout.junction and random.random() < 0.4 else depth(6, 20)
        add("traffic light", "stand", z, z, 0.0, layout.kerb(side) + side * random.uniform(0.3, 0.9), "front")
    return tuple(actors)
