"""What does not move: sky, hills, buildings, road, pavement and grass, laid out once per world.

The ground plane is given in metres: x to the right of the camera, z forwards, y upwards.
"""

from dataclasses import dataclass, field

import numpy as np

from segrt.runtime.streetworld.canvas import Canvas, Color, Point, hsv, mix, shade
from segrt.runtime.streetworld.taxonomy import STUFF

FAR = 90.0  # metres: the end of the road
SKY, BUILDING, ROAD, PAVEMENT, GRASS = range(1, len(STUFF) + 1)  # marks


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
    """Draw the street of a world from its generator."""
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
        clouds=tuple(
            (random.uniform(0, 1), random.uniform(0.02, 0.3), random.uniform(0.03, 0.09))
            for _ in range(random.integers(0, 6))
        ),
        hills=tuple(
            (random.uniform(-0.1, 1.1), random.uniform(0.25, 0.6), random.uniform(0.02, 0.09), _grass(random))
            for _ in range(random.integers(0, 4))
        ),
        skyline=tuple(
            (
                random.uniform(0, 1),
                random.uniform(0.02, 0.09),
                random.uniform(0.02, 0.14),
                hsv(random.uniform(0.5, 0.7), random.uniform(0.03, 0.2), random.uniform(0.45, 0.75)),
            )
            for _ in range(random.integers(0, 10))
        ),
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
        patches=tuple(
            (
                random.uniform(-0.85, 0.85),
                1 / random.uniform(1 / 30, 1 / 3),
                random.uniform(0.3, 1.2),
                random.uniform(0.9, 1.08),
            )
            for _ in range(7)
        ),
        tufts=tuple(
            (
                random.uniform(-1, 1),
                1 / random.uniform(1 / 40, 1 / 3),
                random.uniform(0.3, 1.5),
                random.uniform(0.82, 1.2),
            )
            for _ in range(40)
        ),
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


def paint_sky(canvas: Canvas, layout: Layout, drift: float, cloudiness: float) -> None:
    """Paint the sky's gradient, clouds that drift, and the far skyline and hills."""
    horizon = layout.camera.horizon * canvas.height
    share = np.clip(np.arange(canvas.height, dtype=np.float32) / horizon, 0, 1)[:, None, None]
    top, bottom = (np.asarray(color, np.float32) for color in (layout.sky_top, layout.sky_bottom))
    canvas.image[:] = (top * (1 - share) + bottom * share).astype(np.uint8)
    canvas.marks[:] = SKY
    canvas.mark = None
    white = mix((255, 255, 255), layout.sky_bottom, 0.2)
    for x, y, size in layout.clouds:
        center = ((x + drift + 0.3) % 1.6 - 0.3) * canvas.width
        for dx, dy, factor in (
            (-1.0, 0.15, 0.55),
            (-0.4, -0.12, 0.8),
            (0.35, -0.2, 0.9),
            (1.0, 0.1, 0.6),
            (0.1, 0.2, 1.1),
        ):
            radius = size * canvas.width * factor
            place = center + dx * size * canvas.width, (y + dy * size) * canvas.height
            canvas.ellipse(place, (radius, radius * 0.38), mix(white, layout.sky_top, 0.25 + 0.3 * cloudiness))
    bottom_row = horizon + 2
    canvas.mark = GRASS
    for x, width, height, color in layout.hills:
        canvas.ellipse(
            (x * canvas.width, bottom_row),
            (width * canvas.width, height * canvas.height),
            mix(color, layout.sky_bottom, 0.45),
        )
    canvas.mark = BUILDING
    for x, width, height, color in layout.skyline:
        x0, x1 = x * canvas.width, (x + width) * canvas.width
        y0 = horizon - height * canvas.height
        canvas.polygon([(x0, y0), (x1, y0), (x1, bottom_row), (x0, bottom_row)], mix(color, layout.sky_bottom, 0.35))


def paint_ground(canvas: Canvas, layout: Layout) -> None:
    """Paint grass, pavement, road and road markings."""
    camera = layout.camera
    near = camera.focal * canvas.width * camera.height / (canvas.height * (1.04 - camera.horizon))

    def strip(x0: float, x1: float, z0: float, z1: float) -> list[Point]:
        return [camera.project(canvas, x, z) for x, z in ((x0, z0), (x1, z0), (x1, z1), (x0, z1))]

    def paint(mark: int | None, x0: float, x1: float, z0: float, z1: float, color: Color) -> None:
        z0 = max(z0, near)
        if z1 > z0:
            canvas.mark = mark
            canvas.polygon(strip(x0, x1, z0, z1), color)

    horizon, width, height = camera.horizon * canvas.height, canvas.width, canvas.height
    canvas.mark = GRASS
    canvas.polygon([(0, horizon), (width, horizon), (width, height), (0, height)], layout.grass)
    canvas.mark = None
    for x, z, radius, factor in layout.tufts:
        center = camera.project(canvas, x * camera.half_width(z) * 1.3, z)
        scale = camera.pixels_per_metre(canvas, z)
        canvas.ellipse(center, (radius * scale, radius * 0.28 * scale), shade(layout.grass, factor))
    dark, light = shade(layout.pavement, 0.85), shade(layout.pavement, 1.18)
    left, right = layout.kerb(-1), layout.kerb(1)
    wide = 3 * camera.half_width(40.0)
    if layout.junction is not None:
        z0, z1 = layout.junction
        paint(PAVEMENT, -wide, wide, z0 - 1.8, z1 + 1.8, layout.pavement)
    for side in (-1, 1):
        pavement = layout.pavement_width(side)
        if pavement > 0:
            kerb = layout.kerb(side)
            paint(PAVEMENT, kerb, kerb + side * pavement, near, FAR, layout.pavement)
            z = near
            while z < 40:
                paint(None, kerb, kerb + side * pavement, z, z * 1.006, dark)
                z *= 1.16
            paint(None, kerb, kerb + side * 0.22, near, FAR, light)
    paint(ROAD, left, right, near, FAR, layout.road)
    if layout.junction is not None:
        paint(ROAD, -wide, wide, *layout.junction, layout.road)
    for x, z, radius, factor in layout.patches:
        canvas.mark = None
        scale = camera.pixels_per_metre(canvas, z)
        center = camera.project(canvas, layout.road_x + x * (layout.road_half - 0.8), z)
        canvas.ellipse(center, (radius * 0.5 * scale, radius * 0.14 * scale), shade(layout.road, factor))
    z = 2.0
    while z < 60:
        if not (layout.junction and layout.junction[0] - 2.2 < z < layout.junction[1]):
            paint(None, layout.road_x - 0.08, layout.road_x + 0.08, z, z + 1.9, layout.marking)
        z += 4.0
    for side in (-1, 1):
        edge = layout.kerb(side) - side * 0.35
        paint(None, edge - 0.05, edge + 0.05, near, layout.junction[0] if layout.junction else 60.0, layout.marking)
    if layout.crossing_z is not None:
        x = left + 0.5
        while x < right - 0.6:
            paint(None, x, x + 0.5, layout.crossing_z, layout.crossing_z + 2.6, layout.marking)
            x += 1.0


def paint_building(canvas: Canvas, layout: Layout, building: Building) -> None:
    """Paint one house: the front that faces the camera, the side along the street, storeys of windows, a shop below."""
    project = layout.camera.project
    side, x, z0, z1, height = building.side, building.x, building.z0, building.z1, building.height
    depth = x + side * 11.0
    canvas.mark = BUILDING

    def wall_patch(za: float, zb: float, ya: float, yb: float, color: Color) -> None:
        canvas.polygon([project(canvas, x, z, y) for z, y in ((za, ya), (zb, ya), (zb, yb), (za, yb))], color)

    def front_patch(xa: float, xb: float, ya: float, yb: float, color: Color) -> None:
        canvas.polygon([project(canvas, u, z0, y) for u, y in ((xa, ya), (xb, ya), (xb, yb), (xa, yb))], color)

    z0 = max(z0, 1.5)
    front_patch(x, depth, 0, height, shade(building.wall, 0.86))
    wall_patch(z0, z1, 0, height, building.wall)
    canvas.mark = BUILDING
    wall_patch(z0, z1, height - 0.35, height, building.trim)
    front_patch(x, depth, height - 0.35, height, shade(building.trim, 0.86))
    fine = layout.camera.pixels_per_metre(canvas, z0) > 5.0
    storeys, columns = building.lit.shape
    bright = (150, 225, 255)
    for storey in range(storeys):
        floor = storey * 3.0
        if storey == 0 and building.shop is not None:
            wall_patch(z0 + 0.3, z1 - 0.3, 0.4, 2.2, mix(building.window, bright, 0.3))
            wall_patch(z0 + 0.2, z1 - 0.2, 2.25, 2.85, building.shop)
            front_patch(x + side * 0.3, x + side * 6.0, 0.4, 2.2, mix(building.window, bright, 0.25))
            front_patch(x + side * 0.2, x + side * 6.2, 2.25, 2.85, shade(building.shop, 0.86))
            continue
        if floor + 2.7 > height:
            break
        for column in range(columns):
            color = mix(building.window, bright, 0.55) if building.lit[storey, column] else building.window
            za = z0 + 0.6 + column * 2.2
            if za + 1.2 < z1:
                wall_patch(za, za + 1.2, floor + 1.0, floor + 2.4, color)
                if fine:
                    wall_patch(za + 0.56, za + 0.64, floor + 1.0, floor + 2.4, building.trim)
            if column < 4 and fine:
                xa = x + side * (0.9 + column * 2.4)
                front_patch(xa, xa + side * 1.2, floor + 1.0, floor + 2.4, shade(color, 0.9))
    if building.shop is None and fine:
        wall_patch(z0 + 0.5, z0 + 1.5, 0.0, 2.1, shade(building.trim, 0.6))
