"""Translucent colour with smooth outlines, on uint8 throughout.

Every edge is drawn from a blurred mask: where a mask of 0 and 255 was blurred with a Gaussian of `sigma`, its value
tells the distance to the edge, and a table of 256 entries turns that into colour and opacity of fill and outline. One
table look-up, one product and one sum draw an object with soft edges, whatever its shape.
"""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.results.labels.palette import Color, bgr, mix

# uint8; spelled Any because the stubs of OpenCV 4 and 5 state different element types for what is uint8 in fact.
Image = npt.NDArray[Any]

# Of the light lines between regions, out of 255.
_LINE_OPACITY = 130


@dataclass(frozen=True)
class Pen:
    """Widths in pixels for a picture of one size: `line` of outlines, `sigma` of the blur, `font` size of text."""

    line: float
    sigma: float
    font: int

    @classmethod
    def for_size(cls, height: int, width: int, scale: float = 1.0) -> "Pen":
        """Return widths that look alike at any size and stay legible at 320 pixels, times `scale`."""
        side = float(np.sqrt(height * width))
        outline = max(1.5, side / 360) * max(1.0, 0.5 + 0.5 * scale)
        font = max(9.0, 3.5 + 0.016 * side) * scale
        return cls(line=outline, sigma=max(0.8, outline * 0.40), font=max(6, round(font)))

    @property
    def reach(self) -> int:
        """How far an outline reaches beyond its mask, in pixels."""
        return int(np.ceil(3 * self.sigma + self.line))


@lru_cache(maxsize=16)
def _distances(sigma: float) -> npt.NDArray[np.float32]:
    """Return the signed distance to the edge (positive inside) for each value of a mask blurred with `sigma`."""
    normal = NormalDist()
    levels = [min(max(value / 255, 0.5 / 255), 1 - 0.5 / 255) for value in range(256)]
    return np.array([normal.inv_cdf(level) * sigma for level in levels], dtype=np.float32)


@lru_cache(maxsize=2048)
def _object_tables(color: Color, alpha: float, line: float, sigma: float) -> tuple[Image, Image]:
    """Return (light, keep), uint8 (256, 1, 3): what a blurred mask's value adds to the picture and keeps of it."""
    distance = _distances(sigma)
    inside = np.clip(distance + 0.5, 0, 1) * alpha
    # The line lies inside the edge with its outer half pixel on it; outside a faint dark rim lifts it off light ground.
    stroke = np.clip(np.minimum(distance + 0.9, line - 0.4 - distance) + 0.0, 0, 1)
    rim = np.clip(1 - np.abs(distance + 1.1) / 1.1, 0, 1) * 0.30 * (1 - stroke)
    rim[0] = inside[0] = stroke[0] = 0
    if line > 0:
        stroke[255] = 0
    base = bgr(color)
    light = inside[:, None] * base
    keep = 1 - inside
    for cover, tint in ((rim, mix(base, (0, 0, 0), 0.85)), (stroke * 0.95, mix(base, (255, 255, 255), 0.30))):
        light = light * (1 - cover[:, None]) + cover[:, None] * tint
        keep = keep * (1 - cover)
    keep_table = np.repeat(np.rint(keep * 255).astype(np.uint8)[:, None, None], 3, axis=2)
    return np.rint(light).clip(0, 255).astype(np.uint8)[:, None, :], keep_table


def paint_object(
    canvas: Image, mask: npt.NDArray[Any], left: int, top: int, color: Color, alpha: float, pen: Pen
) -> None:
    """Paint one object into `canvas` (H, W, 3): `mask` uint8 0 or 255 (h, w) lies with its corner at (left, top)."""
    height, width = mask.shape
    soft = cv2.GaussianBlur(mask, (0, 0), pen.sigma, borderType=cv2.BORDER_REPLICATE)
    light, keep = _object_tables(color, round(alpha, 3), round(pen.line, 2), round(pen.sigma, 2))
    region = canvas[top : top + height, left : left + width]
    kept = cv2.multiply(region, cv2.applyColorMap(soft, keep), scale=1 / 255)
    canvas[top : top + height, left : left + width] = cv2.add(kept, cv2.applyColorMap(soft, light))


def paint_regions(
    image: Image, index: Image, colors: dict[int, Color], alpha: float, pen: Pen, *, lines: bool
) -> Image:
    """Return `image` (H, W, 3) with the regions of `index` uint8 (H, W) tinted: an index without a colour stays clear.

    `lines` draws a thin light line where two regions meet.
    """
    table = np.zeros((256, 1, 3), np.uint8)
    for value, color in colors.items():
        table[value, 0] = color[::-1]
    painted = cv2.addWeighted(image, 1 - alpha, cv2.applyColorMap(index, table), alpha, 0)
    clear = np.full(256, 255, np.uint8)
    clear[list(colors)] = 0
    cv2.copyTo(image, cv2.LUT(index, clear), painted)
    if lines:
        _draw_borders(painted, index, pen)
    return painted


def _draw_borders(canvas: Image, index: Image, pen: Pen) -> None:
    """Draw a soft light line between different values of `index`."""
    reach = max(2, round(pen.line))
    kernel = np.ones((reach, reach), np.uint8)
    edge = cv2.compare(cv2.dilate(index, kernel), cv2.erode(index, kernel), cv2.CMP_NE)
    soft = cv2.blur(edge, (3, 3))
    # Not a full product of line and picture: lines cover a few percent of it.
    places = np.flatnonzero(soft > 0)
    flat = canvas.reshape(-1, 3)
    weight = (soft.reshape(-1)[places].astype(np.uint16) * _LINE_OPACITY >> 8)[:, None]
    flat[places] = (flat[places] * (255 - weight) + 255 * weight) >> 8
