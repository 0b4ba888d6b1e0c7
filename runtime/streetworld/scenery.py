"""Paints what does not move: sky, hills, buildings, road, pavement and grass."""

import numpy as np

from segrt.runtime.streetworld.canvas import Canvas, Color, Point, mix, shade
from segrt.runtime.streetworld.street_layout import FAR, Building, Layout
from segrt.runtime.streetworld.taxonomy import STUFF

SKY, BUILDING, ROAD, PAVEMENT, GRASS = range(1, len(STUFF) + 1)  # marks


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
