"""Translucent colour with smooth outlines, on uint8 throughout.

Every edge is drawn from a blurred mask: where a mask of 0 and 255 was blurred with a Gaussian of `sigma`, its value
tells the distance to the edge, and a table of 256 entries turns that into colour and opacity of fill and outline. One
table look-up, one product and one sum draw an object with soft edges, whatever its shape. The core does it, row by row.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns, ObjectColors, RegionTints, paint_objects, paint_regions
from segrt.runtime.results.labels.palette import Color, bgr, mix

# uint8; spelled Any because the stubs of OpenCV 4 and 5 state different element types for what is uint8 in fact.
Image = npt.NDArray[Any]

# Of the light lines between regions, out of 256, where n of the 3x3 pixels around are on the line: soft edges.
_LINE_OPACITY = 130
_LINE_WEIGHTS = [round(255 * count / 9) * _LINE_OPACITY >> 8 for count in range(10)]


@dataclass(frozen=True)
class Pen:
    """Widths in pixels for a picture of one size: `line` of outlines, `sigma` of the blur, `font` size of text."""

    line: float
    sigma: float
    font: int

    @classmethod
    def for_size(cls, height: int, width: int, scale: float = 1.0) -> "Pen":
        """Return widths that look alike at any size and stay legible at 320 pixels, times `scale`."""
        side = math.sqrt(height * width)
        outline = max(1.5, side / 360) * max(1.0, 0.5 + 0.5 * scale)
        font = max(9.0, 3.5 + 0.016 * side) * scale
        # A wider blur has no middle: its 256 parts lie beside it.
        return cls(line=outline, sigma=min(max(0.8, outline * 0.40), 80.0), font=max(6, round(font)))

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


@lru_cache(maxsize=64)
def _blur_weights(sigma: float) -> npt.NDArray[np.uint16]:
    """Return the weights of a Gaussian, 256 in all, as OpenCV's GaussianBlur rounds them for uint8.

    Each takes over what rounding left of those before it (getGaussianKernelFixedPoint_ED of smooth.dispatch.cpp).
    """
    taps = round(sigma * 6 + 1) | 1
    exact = cv2.getGaussianKernel(taps, sigma)[:, 0].tolist()
    half, left = [], 0.0
    for weight in exact[: taps // 2]:
        half.append(round(weight * 256 + left))
        left += weight * 256 - half[-1]
    return np.array([*half, 256 - 2 * sum(half), *reversed(half)], np.uint16)


@lru_cache(maxsize=2048)
def _object_tables(color: Color, alpha: float, line: float, sigma: float) -> npt.NDArray[np.uint8]:
    """Return light and keep, uint8 (2, 256, 4): what a blurred mask's value adds to the picture and keeps of it."""
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
    tables = np.zeros((2, 256, 4), np.uint8)
    tables[0, :, :3] = np.rint(light).clip(0, 255)
    tables[1] = np.rint(keep * 255)[:, None]
    return tables


@lru_cache(maxsize=64)
def _tables_of(colors: tuple[Color, ...], alpha: float, line: float, sigma: float) -> npt.NDArray[np.uint8]:
    """Return the tables of several colours, uint8 (2, N, 256, 4)."""
    return np.stack([_object_tables(color, alpha, line, sigma) for color in colors], axis=1)


def paint_outlined(
    canvas: Image,
    masks: MaskRuns,
    colors: Sequence[Color],
    alpha: float,
    pen: Pen,
    places: Sequence[int] | None = None,
) -> None:
    """Paint the masks of `places`, or all, into `canvas` (H, W, 3), each in its RGB colour, the first first."""
    if not colors:
        return
    distinct = tuple(sorted(set(colors)))
    light, keep = _tables_of(distinct, round(alpha, 3), round(pen.line, 2), round(pen.sigma, 2))
    tables = {color: table for table, color in enumerate(distinct)}
    places = range(len(masks)) if places is None else places
    painted = ObjectColors(places, [tables[color] for color in colors], light, keep)
    paint_objects(canvas, masks, _blur_weights(pen.sigma), painted)


@dataclass(frozen=True, eq=False)
class Index:
    """A map of regions: `values` (0 to 255) says which value an id of `ids_map` (H, W) stands for; others are 0."""

    ids_map: npt.NDArray[Any]
    values: Mapping[int, int]


def canvas_of(image: Image, out: Image | None) -> Image:
    """Return what is painted into: a copy of `image`, or `out` with the same pixels, which may be `image` itself."""
    if out is None:
        copied: Image = image.copy()
        return copied
    if out is not image:
        np.copyto(out, image)
    return out


def paint_tinted(
    image: Image, index: Index, colors: Mapping[int, Color], alpha: float, pen: Pen, out: Image | None = None
) -> Image:
    """Return `image` (H, W, 3), or `out`, with the regions of a map tinted, a thin light line where two of them meet.

    `out` gets the picture, and may be `image` itself. `colors` has an RGB colour for each value that gets one; others
    stay as they are.
    """
    if not any(index.values.values()):  # no regions, and no lines between them
        return canvas_of(image, out)
    # Views, of RGB for instance, are pictures, too.
    image = np.ascontiguousarray(image) if out is None else canvas_of(image, out)
    painted, light = np.zeros(256, np.uint8), np.zeros((256, 3), np.float32)
    for value, color in colors.items():
        painted[value], light[value] = 1, color[::-1]
    tints = RegionTints(
        ids=list(index.values),
        values=np.fromiter(index.values.values(), np.uint8, len(index.values)),
        keep=1 - alpha,
        light=light * np.float32(alpha),
        painted=painted,
    )
    out = np.empty_like(image) if out is None else out
    paint_regions(image, index.ids_map, tints, reach=max(2, round(pen.line)), line_weights=_LINE_WEIGHTS, out=out)
    return out
