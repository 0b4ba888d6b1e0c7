"""Where what does not move stands: camera, road, pavements, buildings, hills and clouds, drawn once per world.

The ground plane is given in metres: x to the right of the camera, z forwards, y upwards.
"""

from dataclasses import dataclass, field

import numpy as np

from segrt.runtime.streetworld.canvas import Canvas, Color, Point, hsv, shade

FAR = 90.0  # metres: the end of the road


@dataclass(frozen=True)
class Camera:
    """A fixed camera: height in metres; focal length, horizon and vanishing point as shares of the picture."""

    height: float
    focal: float
    horizon: float
    vanishing: float

    def project(self, canvas: Canvas, x: float, z: float, y: float = 0.0) -> Point:
        """Return the pixel that shows the point (x, y, z)."""
        scale = self.focal * canvas.width / z
        return self.vanishing * canvas.width + scale * x, self.horizon * canvas.height + scale * (self.height - y)

    def pixels_per_metre(self, canvas: Canvas, z: float) -> float:
        """Return the scale of things at distance z."""
        return self.focal * canvas.width / z

    def half_width(self, z: float) -> float:
        """Return how many metres to either side of the picture's middle are seen at distance z."""
        return 0.5 * z / self.focal


@dataclass(frozen=True)
class Building:
    """A house along the street: side (-1 left, 1 right), from z0 to z1, its wall at x, its height and its colours."""

    side: int
    z0: float
    z1: float
    x: float
    height: float
    wall: Color
    window: Color
    trim: Color
    shop: Color | None
    lit: np.ndarray = field(repr=False)  # bool (storeys, windows): which windows are bright


@dataclass(frozen=True)
class Layout:
    """The street of one world."""

    camera: Camera
    sky_top: Color
    sky_bottom: Color
    clouds: tuple[tuple[float, float, float], ...]  # x and y as shares of the picture, size
    hills: tuple[tuple[float, float, float, Color], ...]  # x, width, height as shares of the picture, colour
    skyline: tuple[tuple[float, float, float, Color], ...]
    grass: Color
    road: Color
    pavement: Color
    marking: Color
    road_x: float
    road_half: float
    pavement_widths: tuple[float, float]
    crossing_z: float | None  # of a zebra crossing
    junction: tuple[float, float] | None  # z0, z1 of a cross street
    buildings: tuple[Building, ...]
    patches: tuple[tuple[float, float, float, float], ...]  # x, z, radius, shade of road repairs
    tufts: tuple[tuple[float, float, float, float], ...]

    def kerb(self, side: int) -> float:
        """Return the x of the kerb on a side (-1 left, 1 right)."""
        return self.road_x + side * self.road_half

    def pavement_width(self, side: int) -> float:
        """Return the width of the pavement on a side, 0 where there is none."""
        return self.pavement_widths[side > 0]


def make_layout(random: np.random.Generator) -> Layout:
    """Draw the street of a world from its generator; the order of the draws is what a seed stands for."""
    camera = Camera(
        height=random.uniform(1.7, 3.0),
        focal=random.uniform(0.54, 0.72),
        horizon=random.uniform(0.34, 0.48),
        vanishing=0.5 + random.normal(0, 0.08),
    )
    junction_start = random.uniform(10, 18)
    junction = (junction_start, junction_start + random.uniform(6, 8)) if random.random() < 0.55 else None
    half = random.uniform(3.2, 5.4)
    widths = tuple(random.uniform(1.6, 3.6) if random.random() < 0.93 else 0.0 for _ in range(2))
    road_x = random.normal(0, 1.0)
    value = random.uniform(0.24, 0.46)
    sky_hue = random.uniform(0.54, 0.62)
    buildings = [
        building
        for side in (-1, 1)
        if random.random() > 0.1
        for building in _row_of_buildings(random, side, road_x + side * (half + widths[side > 0]), junction)
    ]
    return Layout(
        camera=camera,
        sky_top=hsv(sky_hue, random.uniform(0.2, 0.65), random.uniform(0.6, 0.95)),
        sky_bottom=hsv(random.choice([sky_hue, 0.1]), random.uniform(0.02, 0.22), random.uniform(0.85, 1.0)),
        clouds=_clouds(random),
        hills=_hills(random),
        skyline=_skyline(random),
        grass=_grass(random),
        road=hsv(random.uniform(0.55, 0.75), random.uniform(0.0, 0.12), value),
        pavement=hsv(random.uniform(0.04, 0.13), random.uniform(0.03, 0.22), random.uniform(0.5, 0.8)),
        marking=(random.uniform(190, 240),) * 3,
        road_x=road_x,
        road_half=half,
        pavement_widths=(widths[0], widths[1]),
        crossing_z=random.uniform(6, 9) if random.random() < 0.4 else None,
        junction=junction,
        buildings=tuple(sorted(buildings, key=lambda building: -building.z1)),
        patches=_patches(random),
        tufts=_tufts(random),
    )


def _clouds(random: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    return tuple(
        (random.uniform(0, 1), random.uniform(0.02, 0.3), random.uniform(0.03, 0.09))
        for _ in range(random.integers(0, 6))
    )


def _hills(random: np.random.Generator) -> tuple[tuple[float, float, float, Color], ...]:
    return tuple(
        (random.uniform(-0.1, 1.1), random.uniform(0.25, 0.6), random.uniform(0.02, 0.09), _grass(random))
        for _ in range(random.integers(0, 4))
    )


def _skyline(random: np.random.Generator) -> tuple[tuple[float, float, float, Color], ...]:
    return tuple(
        (
            random.uniform(0, 1),
            random.uniform(0.02, 0.09),
            random.uniform(0.02, 0.14),
            hsv(random.uniform(0.5, 0.7), random.uniform(0.03, 0.2), random.uniform(0.45, 0.75)),
        )
        for _ in range(random.integers(0, 10))
    )


def _patches(random: np.random.Generator) -> tuple[tuple[float, float, float, float], ...]:
    return tuple(
        (
            random.uniform(-0.85, 0.85),
            1 / random.uniform(1 / 30, 1 / 3),
            random.uniform(0.3, 1.2),
            random.uniform(0.9, 1.08),
        )
        for _ in range(7)
    )


def _tufts(random: np.random.Generator) -> tuple[tuple[float, float, float, float], ...]:
    return tuple(
        (random.uniform(-1, 1), 1 / random.uniform(1 / 40, 1 / 3), random.uniform(0.3, 1.5), random.uniform(0.82, 1.2))
        for _ in range(40)
    )


def _grass(random: np.random.Generator) -> Color:
    return hsv(random.uniform(0.2, 0.33), random.uniform(0.35, 0.7), random.uniform(0.4, 0.72))


def _row_of_buildings(
    random: np.random.Generator, side: int, kerb: float, junction: tuple[float, float] | None
) -> list[Building]:
    """Return the houses on one side; the row leaves the cross street free."""
    setback = random.uniform(1.0, 5.0) if random.random() < 0.4 else 0.0
    buildings = []
    z = random.uniform(3, 12)
    while z < 65:
        length = random.uniform(6, 14)
        z1 = z + length
        if junction is not None and z < junction[1] + 2.5 and z1 > junction[0] - 2.5:
            if junction[0] - 2.5 - z > 4:
                z1 = junction[0] - 2.5
            else:
                z = junction[1] + 2.5
                continue
        hue = random.choice([0.02, 0.06, 0.09, 0.12, 0.58]) + random.normal(0, 0.02)
        value, saturation = random.uniform(0.45, 0.92), random.uniform(0.08, 0.55)
        wall = hsv(hue, saturation, value)
        height = random.uniform(4.5, 16)
        storeys, windows = max(int(height / 3), 1), max(int((z1 - z) / 2.2), 1)
        if random.random() < 0.88:
            buildings.append(
                Building(
                    side=side,
                    z0=z,
                    z1=z1,
                    x=kerb + side * setback,
                    height=height,
                    wall=wall,
                    window=hsv(0.58, random.uniform(0.15, 0.45), random.uniform(0.25, 0.6)),
                    trim=shade(wall, random.choice([0.7, 1.25])),
                    shop=hsv(random.random(), 0.65, 0.75) if random.random() < 0.45 else None,
                    lit=random.random((storeys, max(windows, 6))) < 0.2,
                )
            )
        z = z1 + (random.uniform(1, 6) if random.random() < 0.3 else 0.0)
    return buildings
