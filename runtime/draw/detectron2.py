"""Detectron2's drawing (`detectron2.utils.visualizer.Visualizer`), with OpenCV: colours, edges, labels as there.

Stuff first, the largest first, then things: flat colour with an edge, a class's instances in colours of their own
beside their class's, a label on a black box for every segment, wherever it falls. Two things differ: there a colour is
drawn anew at random each time, here it is the same for the same object; and an object's holes stay open.
"""

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.fills import Image
from segrt.runtime.draw.painted_classes import is_painted
from segrt.runtime.draw.text import boxed, paste
from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult
from segrt.runtime.results.labels.palette import Color
from segrt.runtime.results.thing_runs import thing_runs

# draw_sem_seg, draw_panoptic_seg, draw_instance_predictions
_ALPHAS = {"SemanticResult": 0.8, "PanopticResult": 0.7, "InstanceResult": 0.5}
_BOX_ALPHA = 0.5
_OFF_WHITE: Color = (255, 255, 240)
_SMALL_BOX, _LOW_BOX, _LARGE_PART = 1000, 40, 120_000
_PIXELS_PER_POINT = 100 / 72  # matplotlib's figures have 100 pixels an inch

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Cut:
    """A part of the picture at (left, top) that holds all of a mask (h, w)."""

    mask: Mask
    left: int
    top: int

    @property
    def middle(self) -> tuple[float, float]:
        """The median of its pixels' (x, y)."""
        columns, rows = np.count_nonzero(self.mask, axis=0), np.count_nonzero(self.mask, axis=1)
        return _median_place(columns) + self.left, _median_place(rows) + self.top


@dataclass(frozen=True, eq=False)
class _Object:
    """An instance: its mask, what its label says, its colour, and its box (left, top, right, bottom)."""

    cut: _Cut
    text: str
    color: Color
    box: tuple[float, float, float, float]


class _Page:
    """The picture that is drawn into, and sizes that go with it."""

    def __init__(self, image: Image, text_scale: float, captions: bool) -> None:
        self.canvas = np.ascontiguousarray(image).copy()
        height, width = image.shape[:2]
        self.side = float(np.sqrt(height * width))
        self._points = max(self.side // 90, 10.0)
        self._scale, self._captions = text_scale, captions
        self._texts: list[tuple[str, float, float, Color, float, bool]] = []

    def fill(self, cut: _Cut, color: Color, alpha: float) -> None:
        """Blend a colour over a mask."""
        height, width = cut.mask.shape
        part = self.canvas[cut.top : cut.top + height, cut.left : cut.left + width]
        tinted = np.rint(np.arange(256)[:, None] * (1 - alpha) + np.array(color[::-1]) * alpha).astype(np.uint8)
        cv2.copyTo(cv2.LUT(part, tinted[:, None]), cut.mask.view(np.uint8), part)

    def edge(self, cut: _Cut, color: Color) -> None:
        """Draw the outlines of a mask, its outermost pixels."""
        outlines, _ = cv2.findContours(
            np.ascontiguousarray(cut.mask).view(np.uint8),
            cv2.RETR_CCOMP,
            cv2.CHAIN_APPROX_NONE,
            offset=(cut.left, cut.top),
        )
        width = max(1, round(max(self._points // 15, 1) * _PIXELS_PER_POINT))
        cv2.drawContours(self.canvas, outlines, -1, color[::-1], width)

    def frame(self, box: tuple[float, float, float, float], color: Color) -> None:
        """Draw a box, half transparent."""
        width = max(1, round(max(self._points / 4, 1) * _PIXELS_PER_POINT))
        left, top, right, bottom = (round(side) for side in box)
        x, y = max(min(left, right) - width, 0), max(min(top, bottom) - width, 0)
        part = self.canvas[y : max(top + width, bottom + width, 0), x : max(left + width, right + width, 0)]
        if part.size:
            drawn = part.copy()
            cv2.rectangle(drawn, (left - x, top - y), (right - 1 - x, bottom - 1 - y), color[::-1], width)
            part[...] = cv2.addWeighted(drawn, _BOX_ALPHA, part, 1 - _BOX_ALPHA, 0)

    def write(self, text: str, x: float, y: float, color: Color, *, size: float = 1.0, centred: bool = True) -> None:
        """Remember a label whose top is at `y`, in the middle or at the left at `x`; `size` times the usual one."""
        self._texts.append((text, x, y, _lighter(color), size, centred))

    def finish(self) -> Image:
        """Return the picture, with the labels on top of everything."""
        for text, x, y, color, size, centred in self._texts if self._captions else ():
            pixels = max(6, round(self._points * size * _PIXELS_PER_POINT * self._scale))
            sprite = boxed(text, pixels, color)
            paste(self.canvas, [(sprite, round(x - sprite.size[1] / 2 if centred else x), round(y))])
        drawn: Image = self.canvas
        return drawn


def detectron2_overlay(
    image: Image,
    result: Result,
    *,
    alpha: float | None = None,
    scores: bool = True,
    captions: bool = True,
    text_scale: float = 1.0,
    area_threshold: int = 0,
) -> Image:
    """Return a copy of the picture, uint8 BGR (H, W, 3), with the result drawn as Detectron2's Visualizer does it.

    alpha: opacity of the fill; None is what Detectron2 takes: 0.8 for semantic, 0.7 for panoptic, 0.5 for instance
    results. area_threshold: connected parts of stuff of fewer pixels are left out.
    """
    alpha = _ALPHAS[type(result).__name__] if alpha is None else alpha
    page = _Page(image, text_scale, captions)
    if isinstance(result, SemanticResult):
        ids, areas = np.unique(result.class_map, return_counts=True)
        for class_id in ids[np.argsort(-areas, kind="stable")].tolist():
            if class_id < len(result.labels) and is_painted(result.labels[class_id]):
                label = result.labels[class_id]
                _draw_stuff(page, result.class_map == class_id, label.name, label.color, alpha, area_threshold)
    if isinstance(result, PanopticResult):
        for segment in result.segments:
            if not segment.isthing:
                label = result.labels[segment.class_id]
                mask = result.segment_ids == segment.id
                _draw_stuff(page, mask, label.name, label.color, alpha, area_threshold)
    if not isinstance(result, SemanticResult):
        has_boxes = isinstance(result, InstanceResult)
        for one in sorted(_objects(result, scores), key=lambda one: -_area(one, has_boxes)):
            _draw_object(page, one, alpha, has_boxes)
    return page.finish()


def plain_name(name: str) -> str:
    """Return a class's name as Detectron2 writes it: COCO's stuff without "-other" and "-merged"."""
    return name.replace("-other", "").replace("-merged", "")


def jittered(color: Color, class_id: int, number: int) -> Color:
    """Return the colour of a class's object `number`: half the colour cube's side from its class's, to the light.

    The direction is drawn from the class and the number, so that it is always the same.
    """
    way = np.random.default_rng([class_id, number]).random(3)
    moved = np.clip(np.array(color) / 255 + way / np.linalg.norm(way) * 0.5, 0, 1)
    red, green, blue = (int(value) for value in np.rint(moved * 255))
    return red, green, blue


def _draw_stuff(page: _Page, mask: Mask, name: str, color: Color, alpha: float, area_threshold: int) -> None:
    """Fill the connected parts that are large enough, and label the largest and the very large ones."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = [part for part in range(1, count) if areas[part - 1] >= max(area_threshold, 1)]
    if not kept:
        return
    shown = np.zeros(count, np.bool_)
    shown[kept] = True
    drawn = _Cut(mask if len(kept) == count - 1 else shown[parts], 0, 0)
    page.fill(drawn, color, alpha)
    page.edge(drawn, _OFF_WHITE)
    largest = int(areas.argmax()) + 1
    for part in kept:
        if part == largest or areas[part - 1] > _LARGE_PART:
            left, top, width, height = (int(side) for side in stats[part, :4])
            alone = parts[top : top + height, left : left + width] == part
            page.write(plain_name(name), *_Cut(alone, left, top).middle, color)


def _draw_object(page: _Page, one: _Object, alpha: float, has_box: bool) -> None:
    left, top, right, bottom = one.box
    if has_box:
        page.frame(one.box, one.color)
    page.fill(one.cut, one.color, alpha)
    page.edge(one.cut, one.color)
    x, y = (left, top) if has_box else one.cut.middle
    if (bottom - top) * (right - left) < _SMALL_BOX or bottom - top < _LOW_BOX:
        # Beside what is small, below it where there is room.
        x, y = (right, top) if bottom >= page.canvas.shape[0] - 5 else (left, bottom)
    size = 0.5 * float(np.clip(((bottom - top) / page.side - 0.02) / 0.08 + 1, 1.2, 2))
    page.write(one.text, x, y, one.color, size=size, centred=not has_box)


def _objects(result: InstanceResult | PanopticResult, scores: bool) -> Iterator[_Object]:
    """Yield the objects of a result, each in its own shade: its track's, or that of its place among its class."""
    seen: dict[int, int] = {}

    def shade(class_id: int, track_id: int | None) -> Color:
        seen[class_id] = seen.get(class_id, -1) + 1
        return jittered(result.labels[class_id].color, class_id, seen[class_id] if track_id is None else track_id)

    def text(class_id: int, score: float, track_id: int | None) -> str:
        name = plain_name(result.labels[class_id].name) + ("" if track_id is None else f" {track_id}")
        return f"{name} {score * 100:.0f}%" if scores else name

    if isinstance(result, PanopticResult):
        places, masks = thing_runs(result)
        areas, extents = masks.measure()
        segments = [result.segments[place] for place in places]
        for index in sorted(np.flatnonzero(areas).tolist(), key=lambda index: -segments[index].area):
            segment = segments[index]
            x, y, width, height = segment.bbox
            told = text(segment.class_id, segment.score, segment.track_id)
            color = shade(segment.class_id, segment.track_id)
            yield _Object(_cut_of(masks, index, extents), told, color, (x, y, x + width, y + height))
        return
    masks = MaskRuns.of_rles(result.rles)
    areas, extents = masks.measure()
    for index in np.flatnonzero(areas).tolist():
        one: Any = result[index]
        left, top, right, bottom = (float(side) for side in result.boxes[index])
        told = text(int(one.class_id), float(one.score), one.track_id)
        color = shade(int(one.class_id), one.track_id)
        yield _Object(_cut_of(masks, index, extents), told, color, (left, top, right, bottom))


def _cut_of(masks: MaskRuns, index: int, extents: npt.NDArray[np.int64]) -> _Cut:
    left, top, right, bottom = (int(side) for side in extents[index])
    return _Cut(masks.cut(index, (left, top, right, bottom)), left, top)


def _median_place(counts: npt.NDArray[np.int64]) -> float:
    """Return the median of places of which each comes `counts` times."""
    until = np.cumsum(counts)
    lower, upper = np.searchsorted(until, ((until[-1] - 1) // 2, until[-1] // 2), side="right")
    return float(lower + upper) / 2


def _area(one: _Object, has_boxes: bool) -> float:
    left, top, right, bottom = one.box
    return (right - left) * (bottom - top) if has_boxes else float(np.count_nonzero(one.cut.mask))


def _lighter(color: Color) -> Color:
    """Return the colour of a label's letters: lighter by 0.7 (HLS), no channel below 0.2, the strongest 0.8 or more."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in color))
    channels = np.maximum(colorsys.hls_to_rgb(hue, min(lightness * 1.7, 1.0), saturation), 0.2)
    strongest = int(np.argmax(channels))
    channels[strongest] = max(0.8, float(channels[strongest]))
    red, green, blue = (round(float(value) * 255) for value in channels)
    return red, green, blue
