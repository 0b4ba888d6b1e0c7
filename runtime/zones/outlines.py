"""Zones and lines drawn over a picture, with what is counted in them."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.text import pill
from segrt.runtime.files.images import Picture
from segrt.runtime.zones.shapes import Line, Point, Zone, ZonePlan

COLORS = ((255, 179, 0), (0, 188, 212), (233, 30, 99), (139, 195, 74), (156, 39, 176), (255, 112, 67))
"""RGB, in the order of the file, zones before lines; the live page has the same."""
_FILL = 0.12
_TEXT_SHARE, _SMALLEST_TEXT = 1 / 45, 11  # of the picture's height; pixels


def draw_zones(picture: Picture, plan: ZonePlan, counts: Mapping[str, Mapping[str, int]]) -> Picture:
    """Return a copy of `picture`, uint8 BGR (H, W, 3), with the zones and lines of `plan` over it.

    `counts` are those of `Update.counts`: zone → class → how many are inside.
    """
    canvas: Picture = picture.copy()
    height, width = picture.shape[:2]
    thick = max(1, round(height / 360))
    size = max(_SMALLEST_TEXT, round(height * _TEXT_SHARE))
    placed: list[tuple[str, str, tuple[int, int, int], tuple[int, int]]] = []
    for number, place in enumerate((*plan.zones, *plan.lines)):
        color = COLORS[number % len(COLORS)]
        if isinstance(place, Zone):
            corners = _pixels(place.polygon, width, height)
            _fill(canvas, corners, color)
            cv2.polylines(canvas, [corners], True, color[::-1], thick, cv2.LINE_AA)
            counted = ", ".join(f"{count} {name}" for name, count in counts.get(place.name, {}).items()) or "0"
            top = corners[corners[:, 1].argmin()]
            placed.append((place.name, counted, color, (int(top[0]), int(top[1]))))
        elif isinstance(place, Line):
            ends = _pixels((place.start, place.end), width, height)
            cv2.arrowedLine(
                canvas, _place(ends[0]), _place(ends[1]), color[::-1], thick, cv2.LINE_AA, tipLength=_tip(ends, size)
            )
            placed.append((place.name, "", color, _place(ends.mean(axis=0))))
    for name, counted, color, (x, y) in placed:  # above what is drawn
        sprite = pill(name, counted, size, color)
        rows, columns = sprite.size
        left = min(max(0, x - columns // 2), max(0, width - columns))
        top = min(max(0, y + thick), max(0, height - rows))
        sprite.paste(canvas, left, top)
    return canvas


def _fill(canvas: Picture, corners: npt.NDArray[np.int32], color: tuple[int, int, int]) -> None:
    left, top = np.maximum(corners.min(axis=0), 0)
    right, bottom = corners.max(axis=0) + 1
    part = canvas[top:bottom, left:right]
    tinted = part.copy()
    cv2.fillPoly(tinted, [corners - (left, top)], color[::-1])
    part[:] = cv2.addWeighted(tinted, _FILL, part, 1 - _FILL, 0)


def _pixels(points: Sequence[Point], width: int, height: int) -> npt.NDArray[np.int32]:
    scaled = np.rint(np.array(points) * (width, height) - 0.5)
    return np.clip(scaled, 0, (width - 1, height - 1)).astype(np.int32)


def _place(point: npt.NDArray[np.int32] | npt.NDArray[np.float64]) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _tip(ends: npt.NDArray[np.int32], size: int) -> float:
    """Return the length of an arrow's head, as a share of its own."""
    length = float(np.hypot(*(ends[1] - ends[0])))
    return min(0.3, size / length) if length else 0.3
