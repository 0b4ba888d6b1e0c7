"""Zones and lines drawn over a picture, with what is counted in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.text import Row, Sprite, paste, pill
from segrt.runtime.files.images import Picture
from segrt.runtime.zones.shapes import Line, Point, Zone, ZonePlan

COLORS = ((255, 179, 0), (0, 188, 212), (233, 30, 99), (139, 195, 74), (156, 39, 176), (255, 112, 67))
"""RGB, in the order of the file, zones before lines; the live page has the same."""
_FILL = 0.12
_TEXT_SHARE, _SMALLEST_TEXT = 1 / 45, 11  # of the picture's height; pixels
_ROWS_OFF = (0, 1, -1, 2, -2, 3)  # from its place, in heights of a label


@dataclass(frozen=True, eq=False)
class ZoneLabel:
    """What is written of a zone or line, and where in the picture: its corner at (left, top), pixels."""

    sprite: Sprite | Row
    left: int
    top: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in pixels."""
        height, width = self.sprite.size
        return self.left, self.top, self.left + width, self.top + height


def labels_of(size: tuple[int, int], plan: ZonePlan, counts: Mapping[str, Mapping[str, int]]) -> list[ZoneLabel]:
    """Return the labels of `plan` in a picture of `size` (H, W), none on another where there is room."""
    height, width = size
    text = max(_SMALLEST_TEXT, round(height * _TEXT_SHARE))
    found: list[ZoneLabel] = []
    for number, place in enumerate((*plan.zones, *plan.lines)):
        counted = ""
        if isinstance(place, Zone):
            counted = ", ".join(f"{count} {name}" for name, count in counts.get(place.name, {}).items()) or "0"
            corners = _pixels(place.polygon, width, height)
            x, y = _place(corners[corners[:, 1].argmin()])
        else:
            assert isinstance(place, Line)
            x, y = _place(_pixels((place.start, place.end), width, height).mean(axis=0))
        sprite = pill(place.name, counted, text, COLORS[number % len(COLORS)])
        found.append(_placed(sprite, x, y + _thickness(height), size, found))
    return found


def _placed(sprite: Sprite | Row, x: int, y: int, size: tuple[int, int], others: Sequence[ZoneLabel]) -> ZoneLabel:
    """Return a label whose upper edge's middle is at (x, y), or a few rows of text off, where it is free."""
    rows, columns = sprite.size
    left = min(max(0, x - columns // 2), max(0, size[1] - columns))
    tried = []
    for off in _ROWS_OFF:
        top = min(max(0, y + round(off * 1.1 * rows)), max(0, size[0] - rows))
        tried.append(ZoneLabel(sprite, left, top))
        if not any(_meet(tried[-1].box, other.box) for other in others):
            return tried[-1]
    return tried[0]


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def draw_zones(picture: Picture, plan: ZonePlan, counts: Mapping[str, Mapping[str, int]]) -> Picture:
    """Return a copy of `picture`, uint8 BGR (H, W, 3), with the zones and lines of `plan` over it.

    `counts` are those of `Update.counts`: zone → class → how many are inside.
    """
    canvas: Picture = picture.copy()
    height, width = picture.shape[:2]
    thick = _thickness(height)
    size = max(_SMALLEST_TEXT, round(height * _TEXT_SHARE))
    for number, place in enumerate((*plan.zones, *plan.lines)):
        color = COLORS[number % len(COLORS)]
        if isinstance(place, Zone):
            corners = _pixels(place.polygon, width, height)
            _fill(canvas, corners, color)
            cv2.polylines(canvas, [corners], True, color[::-1], thick, cv2.LINE_AA)
        elif isinstance(place, Line):
            ends = _pixels((place.start, place.end), width, height)
            cv2.arrowedLine(
                canvas, _place(ends[0]), _place(ends[1]), color[::-1], thick, cv2.LINE_AA, tipLength=_tip(ends, size)
            )
    labels = labels_of((height, width), plan, counts)
    paste(canvas, ((label.sprite, label.left, label.top) for label in labels))  # above what is drawn
    return canvas


def _thickness(height: int) -> int:
    return max(1, round(height / 360))


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
