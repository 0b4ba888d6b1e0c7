"""A picture and its ground truth, drawn together.

Every shape is painted antialiased into the picture and, with hard edges, into the map of marks, so that truth and
picture cannot drift apart.
"""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

SHIFT = 4  # fixed-point bits of OpenCV's sub-pixel coordinates
LIMIT = 1 << 14  # coordinates beyond this many pixels are cut, to stay within OpenCV's fixed point

Color = tuple[float, float, float]  # BGR, 0 to 255
Point = tuple[float, float]


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Return the BGR colour of a hue in turns and of saturation and value in 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return blue * 255, green * 255, red * 255


def shade(color: Color, factor: float) -> Color:
    """Return `color` made darker (factor < 1) or lighter (factor > 1)."""
    blue, green, red = color
    return min(blue * factor, 255.0), min(green * factor, 255.0), min(red * factor, 255.0)


def mix(a: Color, b: Color, share_of_b: float) -> Color:
    """Return the colour between `a` (share 0) and `b` (share 1)."""
    keep = 1.0 - share_of_b
    return a[0] * keep + b[0] * share_of_b, a[1] * keep + b[1] * share_of_b, a[2] * keep + b[2] * share_of_b


class Canvas:
    """A picture (uint8 BGR, H×W×3) and its marks (uint8, H×W): the mark that is set when a shape is painted."""

    def __init__(self, height: int, width: int) -> None:
        self.image = np.zeros((height, width, 3), np.uint8)
        self.marks = np.zeros((height, width), np.uint8)
        self.mark: int | None = 0  # None: paint the picture only
        self.haze: Color = (255.0, 255.0, 255.0)
        self.haze_share = 0.0  # of the haze in all colours painted now

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return self.image.shape[0]

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return self.image.shape[1]

    def _color(self, color: Color) -> Color:
        return mix(color, self.haze, self.haze_share) if self.haze_share else color

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Fill a polygon given in pixels."""
        scaled = np.clip(np.asarray(points, np.float64), -LIMIT, LIMIT) * (1 << SHIFT)
        corners = np.rint(scaled).astype(np.int32)
        cv2.fillPoly(self.image, [corners], self._color(color), cv2.LINE_AA, SHIFT)
        if self.mark is not None:
            cv2.fillPoly(self.marks, [corners], self.mark, cv2.LINE_8, SHIFT)

    def ellipse(self, center: Point, radii: Point, color: Color) -> None:
        """Fill an axis-parallel ellipse; centre and radii in pixels."""
        x, y = (round(min(max(v, -LIMIT), LIMIT) * (1 << SHIFT)) for v in center)
        rx, ry = (max(round(min(v, LIMIT) * (1 << SHIFT)), 1) for v in radii)
        cv2.ellipse(self.image, (x, y), (rx, ry), 0, 0, 360, self._color(color), -1, cv2.LINE_AA, SHIFT)
        if self.mark is not None:
            cv2.ellipse(self.marks, (x, y), (rx, ry), 0, 0, 360, self.mark, -1, cv2.LINE_8, SHIFT)

    def darken(self, center: Point, radii: Point, factor: float) -> None:
        """Multiply the picture by `factor` within an ellipse with a soft edge; marks stay."""
        (x, y), (rx, ry) = center, (max(radii[0], 0.5), max(radii[1], 0.5))
        x0, x1 = max(int(x - rx), 0), min(int(x + rx) + 2, self.width)
        y0, y1 = max(int(y - ry), 0), min(int(y + ry) + 2, self.height)
        if x0 >= x1 or y0 >= y1:
            return
        across = (np.arange(x0, x1, dtype=np.float32) + 0.5 - x) / rx
        down = (np.arange(y0, y1, dtype=np.float32) + 0.5 - y) / ry
        inside = np.clip((1.0 - (across[None, :] ** 2 + down[:, None] ** 2)) * 2.0, 0.0, 1.0)
        region = self.image[y0:y1, x0:x1]
        region[:] = (region * (1.0 - (1.0 - factor) * inside)[..., None]).astype(np.uint8)


class Pen:
    """Paints in metres around a foot point: u to the right (or left when mirrored), v upwards."""

    def __init__(self, canvas: Canvas, foot: Point, pixels_per_metre: float, mirrored: bool = False) -> None:
        self.canvas = canvas
        self.foot = foot
        self.scale = pixels_per_metre
        self.sign = -1.0 if mirrored else 1.0

    def pixels(self, u: float, v: float) -> Point:
        """Return the pixel of a point in metres."""
        return self.foot[0] + self.sign * u * self.scale, self.foot[1] - v * self.scale

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Fill a polygon given in metres."""
        self.canvas.polygon([self.pixels(u, v) for u, v in points], color)

    def box(self, u0: float, v0: float, u1: float, v1: float, color: Color) -> None:
        """Fill a rectangle given in metres."""
        self.polygon([(u0, v0), (u1, v0), (u1, v1), (u0, v1)], color)

    def disc(self, u: float, v: float, radius_u: float, radius_v: float, color: Color) -> None:
        """Fill an ellipse given in metres."""
        self.canvas.ellipse(self.pixels(u, v), (radius_u * self.scale, radius_v * self.scale), color)

    def limb(self, start: Point, end: Point, width: float, color: Color) -> None:
        """Paint a straight limb of `width` metres with round ends."""
        (u0, v0), (u1, v1) = start, end
        length = max(((u1 - u0) ** 2 + (v1 - v0) ** 2) ** 0.5, 1e-6)
        half = width / 2
        du, dv = -(v1 - v0) / length * half, (u1 - u0) / length * half
        self.polygon([(u0 + du, v0 + dv), (u1 + du, v1 + dv), (u1 - du, v1 - dv), (u0 - du, v0 - dv)], color)
        if half * self.scale > 1.0:
            self.disc(u0, v0, half, half, color)
            self.disc(u1, v1, half, half, color)
