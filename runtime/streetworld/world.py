"""One world: renders any moment of its street, with ground truth."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.streetworld.actors import HALF_SIZE, Actor, Placed, make_actors
from segrt.runtime.streetworld.canvas import Canvas, Pen
from segrt.runtime.streetworld.scenery import paint_building, paint_ground, paint_sky
from segrt.runtime.streetworld.sprites import SPRITES
from segrt.runtime.streetworld.street_layout import Building, make_layout
from segrt.runtime.streetworld.taxonomy import CLASSES, STUFF
from segrt.runtime.streetworld.weather import CONDITIONS, apply_weather, make_weather

CROWD_AREA = 16  # things with fewer visible pixels are crowd
FIRST_THING_MARK = 16  # marks below are stuff; 240 things fit into a frame
THING_ID_OFFSET = 16  # segment ids of things begin above those of stuff
SMALLEST_SIDE = 32
WIDEST = 8  # that addresses may ask for as `wide`


@dataclass(frozen=True)
class StreetSegment:
    """One segment of the truth: its id in `segment_ids`, class (index into `CLASSES`), visible area, crowd or not."""

    id: int
    class_id: int
    area: int
    iscrowd: bool


@dataclass(frozen=True)
class StreetView:
    """A rendered moment: `image` uint8 BGR (H, W, 3); `segment_ids` int32 (H, W), 0 = void; its segments."""

    image: npt.NDArray[np.uint8]
    segment_ids: npt.NDArray[np.int32]
    segments: tuple[StreetSegment, ...]


class StreetWorld:
    """The street of one seed; `weather` fixes the condition (one of `CONDITIONS`), `busy` scales how full it is.

    `wide` is how many times as much a camera of shorter focal length sees to each side: things are so much smaller, and
    so many times as many.
    """

    def __init__(self, seed: int, *, weather: str | None = None, busy: float = 1.0, wide: float = 1.0) -> None:
        if seed < 0:
            raise SegrtError(f"seed must be 0 or more, but got {seed}")
        if weather is not None and weather not in CONDITIONS:
            raise SegrtError(f"weather must be one of {', '.join(CONDITIONS)}, but got {weather!r}")
        self.seed = seed
        random = np.random.default_rng([seed, 0])
        layout = make_layout(random)
        self.layout = replace(layout, camera=replace(layout.camera, focal=layout.camera.focal / wide))
        self.weather = make_weather(random, weather)
        self.actors = make_actors(random, self.layout, busy * wide)
        self._signal_offset = random.uniform(0, 12)

    def with_actors(self, more: Sequence[Actor]) -> "StreetWorld":
        """Return this world with further things in it, whose indices none of its own has."""
        fuller = copy(self)
        fuller.actors = (*self.actors, *more)
        return fuller

    def render(self, time: float = 0.0, size: tuple[int, int] = (360, 640)) -> StreetView:
        """Render the moment `time` (seconds) at `size` (height, width)."""
        height, width = size
        if min(size) < SMALLEST_SIDE:
            raise SegrtError(f"height and width must be at least {SMALLEST_SIDE}, but got {height} and {width}")
        canvas = Canvas(height, width)
        canvas.haze = self.weather.haze
        paint_sky(canvas, self.layout, drift=time * 0.004, cloudiness=self.weather.cloudiness)
        paint_ground(canvas, self.layout)
        placed = self._place(canvas, time)
        self._paint(canvas, placed)
        frame_random = np.random.default_rng([self.seed, 1, round(time * 1000)])
        image = apply_weather(canvas.image, self.weather, frame_random)
        return StreetView(image, *_truth(canvas.marks, placed))

    def _place(self, canvas: Canvas, time: float) -> list[Placed]:
        """Return the things that may be seen, far to near."""
        cycle = (time + self._signal_offset) % 12
        signal = 2 if cycle < 6 else 1 if cycle < 7.5 else 0
        placed = []
        for actor in self.actors:
            thing = actor.at(time, signal, self.weather.lamps)
            reach = HALF_SIZE[thing.name] * self.layout.camera.pixels_per_metre(canvas, thing.z)
            x, _ = self.layout.camera.project(canvas, thing.x, thing.z)
            if -reach < x < canvas.width + reach and thing.z > 1.6:
                placed.append(thing)
        return sorted(placed, key=lambda thing: -thing.z)[-(256 - FIRST_THING_MARK) :]

    def _paint(self, canvas: Canvas, placed: list[Placed]) -> None:
        """Paint houses and things, far to near."""
        houses = list(self.layout.buildings)
        for index, thing in enumerate(placed):
            while houses and houses[0].z1 > thing.z:
                self._paint_house(canvas, houses.pop(0))
            camera = self.layout.camera
            scale = camera.pixels_per_metre(canvas, thing.z)
            foot = camera.project(canvas, thing.x, thing.z)
            wide = 0.95 * HALF_SIZE[thing.name] if thing.pose.facing == "side" else min(HALF_SIZE[thing.name], 1.15)
            canvas.darken((foot[0], foot[1]), (wide * scale, 0.14 * scale + 0.05 * wide * scale), self.weather.shadow)
            canvas.mark = FIRST_THING_MARK + index
            canvas.haze_share = self._haze(thing.z)
            random = np.random.default_rng(thing.look)
            SPRITES[thing.name](Pen(canvas, foot, scale, thing.mirrored), random, thing.pose)
        for house in houses:
            self._paint_house(canvas, house)
        canvas.haze_share = 0.0

    def _paint_house(self, canvas: Canvas, house: Building) -> None:
        canvas.haze_share = self._haze(0.5 * (house.z0 + house.z1))
        paint_building(canvas, self.layout, house)

    def _haze(self, z: float) -> float:
        return 1.0 - math.exp(-self.weather.haze_per_metre * z)


def _truth(
    marks: npt.NDArray[np.uint8], placed: list[Placed]
) -> tuple[npt.NDArray[np.int32], tuple[StreetSegment, ...]]:
    """Turn marks into segment ids: stuff keeps its class number, a thing gets its own lasting id."""
    areas = np.bincount(marks.ravel(), minlength=256)
    ids = np.zeros(256, np.int32)
    segments = []
    for mark in range(1, len(STUFF) + 1):
        ids[mark] = mark
        if areas[mark]:
            segments.append(StreetSegment(mark, mark - 1, int(areas[mark]), iscrowd=False))
    for index, thing in enumerate(placed):
        mark = FIRST_THING_MARK + index
        ids[mark] = THING_ID_OFFSET + thing.id
        if areas[mark]:
            area = int(areas[mark])
            segments.append(StreetSegment(int(ids[mark]), CLASSES.index(thing.name), area, iscrowd=area < CROWD_AREA))
    return ids[marks], tuple(segments)
