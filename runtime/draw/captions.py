"""Where labels stand: inside their segment where it is widest, beside it where it is small, never on each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.fills import Image, Pen
from segrt.runtime.draw.text import Row, Sprite, paste, pill
from segrt.runtime.results.labels.palette import Color

# Places are sought on a small map: a label is some pixels off at most, and a 4K frame costs what a small one does.
_MAP_SIDE = 224
# Labels are wide and low, so room to the left and right counts for less than above and below.
_SQUEEZE = 2.2
# An object below this share of its label's own area gets none: it would be a label without an object.
_SMALLEST_OBJECT = 0.6
# Fractions of the picture: a smaller region gets no label, a class's second region gets one from here on.
SMALLEST_REGION = 0.004
_SECOND_REGION = 0.04
_REGIONS_PER_CLASS = 2
# Labels are looked for among those in their own bands of so many rows.
_BAND = 64


Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels."""


@dataclass(frozen=True)
class Subject:
    """What a label belongs to: a mask of `shape` (h, w) lies at (left, top) of the picture; `area` in pixels.

    `mask()` gives it, uint8, 0 outside: most objects are labelled without one. A pixel of the mask stands for `step` by
    `step` pixels of the picture.
    """

    name: str
    score: float | None
    color: Color
    mask: Callable[[], Image]
    shape: tuple[int, ...]
    left: int
    top: int
    area: int
    step: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the subject's box in pixels of the picture."""
        return self.shape[0] * self.step, self.shape[1] * self.step


class Board:
    """The places taken on a picture of (height, width); labels are put down in the order of the calls.

    `reserved` are boxes (left, top, right, bottom) that are taken already.
    """

    def __init__(self, canvas: Image, pen: Pen, reserved: Sequence[Box] = ()) -> None:
        self._canvas = canvas
        self._pen = pen
        self._margin = max(2, pen.font // 3)
        self._taken: list[Box] = []
        self._bands: dict[int, list[Box]] = {}
        self._waiting: list[tuple[Sprite | Row, int, int]] = []
        for box in reserved:
            self._take(box)

    def label_object(self, subject: Subject, *, score: bool) -> None:
        """Put a label into the object, or above or below it where it is too small; a tiny object gets none."""
        height, width = subject.size
        number = f"{subject.score:.2f}" if score and subject.score is not None else ""
        sprite = pill(subject.name, number, self._pen.font, subject.color)
        tall, wide = sprite.size
        if subject.area < _SMALLEST_OBJECT * tall * wide:
            return
        centre = subject.left + width // 2
        places: list[tuple[int, int]] = []
        if wide <= 0.85 * width and tall <= 0.4 * height:
            places += [(x, y) for x, y, _ in _widest_places(subject, _reduced(subject), 1)]
        above = (centre, subject.top - tall // 2 - self._pen.reach // 2)
        inside_top = (centre, subject.top + tall)
        below = (centre, subject.top + height + tall // 2 + self._pen.reach // 2)
        middle = (centre, subject.top + height // 2)
        places += [above, inside_top, below, middle] if height > 3 * tall else [above, below]
        for x, y in places:
            if self._put(sprite, x, y):
                return

    def label_region(self, subject: Subject, *, score: bool) -> None:
        """Put a label where the region is widest and free; a region without room for it gets none."""
        number = f"{subject.score:.2f}" if score and subject.score is not None else ""
        sprite = pill(subject.name, number, self._pen.font, subject.color)
        tall, wide = sprite.size
        free = self._free_part(subject, tall, wide)
        for x, y, room in _widest_places(subject, free, 3):
            if room >= 0.5 * tall and self._put(sprite, x, y):
                return

    @property
    def places(self) -> list[Box]:
        """Where the labels stand: (left, top, right, bottom) of each in pixels."""
        return [(x, y, x + sprite.size[1], y + sprite.size[0]) for sprite, x, y in self._waiting]

    def paste(self) -> None:
        """Draw all labels, the ones put down first on top."""
        paste(self._canvas, reversed(self._waiting))

    def _free_part(self, subject: Subject, tall: int, wide: int) -> Image:
        """Return the subject's reduced mask without the places from which a label would touch another."""
        small = _reduced(subject)
        fy, fx = small.shape[0] / subject.size[0], small.shape[1] / subject.size[1]
        across, along = wide * 0.55, tall * 0.6
        for left, top, right, bottom in self._taken:
            y0, y1 = int((top - along - subject.top) * fy), int((bottom + along - subject.top) * fy)
            x0, x1 = int((left - across - subject.left) * fx), int((right + across - subject.left) * fx)
            if y1 > 0 and x1 > 0:
                small[max(0, y0) : y1, max(0, x0) : x1] = 0
        return small

    def _put(self, sprite: Sprite | Row, x: int, y: int) -> bool:
        """Take the place centred on (x, y), moved into the picture; return whether it was free."""
        tall, wide = sprite.size
        height, width = self._canvas.shape[:2]
        margin = self._margin
        if wide + 2 * margin > width or tall + 2 * margin > height:
            return False
        left = min(max(x - wide // 2, margin), width - wide - margin)
        top = min(max(y - tall // 2, margin), height - tall - margin)
        if abs(top - (y - tall // 2)) > tall:
            return False
        gap = max(1, margin // 2)
        box = (left - gap, top - gap, left + wide + gap, top + tall + gap)
        if not self._is_free(box):
            return False
        self._take(box)
        self._waiting.append((sprite, left, top))
        return True

    def _take(self, box: Box) -> None:
        self._taken.append(box)
        for band in range(box[1] // _BAND, box[3] // _BAND + 1):
            self._bands.setdefault(band, []).append(box)

    def _is_free(self, box: Box) -> bool:
        left, top, right, bottom = box
        for band in range(top // _BAND, bottom // _BAND + 1):
            for other in self._bands.get(band, ()):
                if left < other[2] and other[0] < right and top < other[3] and other[1] < bottom:
                    return False
        return True


def _reduced(subject: Subject) -> Image:
    """Return the subject's mask on the small, squeezed map on which places are sought."""
    height, width = subject.shape
    factor = min(1.0, _MAP_SIDE / max(height, width))
    size = (max(1, round(width * factor / _SQUEEZE)), max(1, round(height * factor)))
    return cv2.resize(subject.mask(), size, interpolation=cv2.INTER_NEAREST)


def _widest_places(subject: Subject, small: Image, count: int) -> Iterator[tuple[int, int, float]]:
    """Yield up to `count` places (x, y, room) of the picture where `small`, the subject's reduced mask, is widest.

    `room` is the free height around the place in pixels: the pole of inaccessibility, in a metric in which width counts
    less than height. Borders of the mask's array count as edges.
    """
    fy, fx = small.shape[0] / subject.size[0], small.shape[1] / subject.size[1]
    framed = cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth: npt.NDArray[Any] = cv2.distanceTransform(framed, cv2.DIST_L2, 3)
    for _ in range(count):
        deepest = float(depth.max())
        if deepest <= 0:
            return
        # The middle of all equally deep places: a band of even width has its label in the middle, not at its end.
        ridge = np.argwhere(depth >= deepest * 0.97)
        row, column = (int(value) for value in ridge[np.abs(ridge - ridge.mean(axis=0)).sum(axis=1).argmin()])
        yield subject.left + int((column - 0.5) / fx), subject.top + int((row - 0.5) / fy), deepest / fy
        radius = int(deepest) + 1
        depth[max(0, row - radius) : row + radius + 1, max(0, column - 2 * radius) : column + 2 * radius + 1] = 0


def regions(mask: Image, picture_area: int) -> list[tuple[Image, int, int, int]]:
    """Return the large connected parts of `mask` uint8 0 or 1 (h, w) as (mask, left, top, area), largest first.

    `picture_area` is in pixels of the same map. At most two parts come back, and none too small for a label.
    """
    count, parts = cv2.connectedComponents(mask, connectivity=4)
    areas = np.bincount(parts.reshape(-1), minlength=count)
    order = sorted(range(1, count), key=lambda part: -int(areas[part]))[:_REGIONS_PER_CLASS]
    cuts = []
    for rank, part in enumerate(order):
        area = int(areas[part])
        if area < (_SECOND_REGION if rank else SMALLEST_REGION) * picture_area:
            break
        whole = (parts == part).view(np.uint8)
        left, top, width, height = cv2.boundingRect(whole)
        cuts.append((whole[top : top + height, left : left + width], left, top, area))
    return cuts
