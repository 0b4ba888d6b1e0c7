"""The overlay: a result painted over its picture."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.captions import SMALLEST_REGION, Board, Subject, regions
from segrt.runtime.draw.detectron2 import detectron2_overlay
from segrt.runtime.draw.fills import Image, Index, Pen, canvas_of, paint_outlined, paint_tinted
from segrt.runtime.draw.painted_classes import is_painted
from segrt.runtime.draw.style import STYLES, Style
from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, SemanticResult, rle
from segrt.runtime.results.labels.palette import instance_shades, shade
from segrt.runtime.results.remap import remap
from segrt.runtime.results.thing_runs import thing_runs

# Regions are labelled from a reduced map, whose long side is this.
_REGION_MAP_SIDE = 256
_LABELLED_OBJECTS = 60
_CLOSING = np.ones((3, 3), np.uint8)


def overlay(
    image_bgr: Image,
    result: Result,
    *,
    style: Style = "segrt",
    alpha: float | None = None,
    scores: bool = True,
    captions: bool = True,
    text_scale: float = 1.0,
    reserved: Sequence[tuple[int, int, int, int]] = (),
    area_threshold: int = 0,
    stuff: bool = True,
    out: Image | None = None,
) -> Image:
    """Return a copy of the picture, or `out`, with the result painted over it.

    Args:
        image_bgr: the picture, uint8 (H, W, 3) BGR, of the result's size.
        result: semantic: one tint per class but "background" and "other"; instance: a shade and outline per object;
            panoptic: both. An object of a track has the track's shade, and its number behind the name.
        style: "segrt" as above; "detectron2" as its Visualizer draws (see `segrt.runtime.draw.detectron2`); "none"
            leaves the picture as it is.
        alpha: opacity of the fill, 0 to 1; None is the style's own: 0.5, of detectron2 0.8, 0.7 and 0.5 for semantic,
            panoptic and instance results.
        scores: write each object's score behind its name.
        captions: write labels at all.
        text_scale: factor on size of text and width of lines, for a picture that will be shown reduced.
        reserved: boxes (left, top, right, bottom) in pixels that labels leave free, for what is drawn there later;
            detectron2's stand where they stand.
        area_threshold: connected parts of stuff of fewer pixels are left out by "detectron2".
        stuff: paint stuff, too; without it only things' pixels and those beside them are touched.
        out: where the picture is painted, writable, of its shape and dtype, each row contiguous, as of a part of a
            larger picture; `image_bgr` itself is painted in place.

    Returns:
        uint8 (H, W, 3) BGR.

    Raises:
        ValueError: picture, result and `out` differ in size, `style` is none of these, or a number is out of range.
    """
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ValueError(f"image_bgr must be uint8 with shape (H, W, 3), but got {image_bgr.dtype} {image_bgr.shape}")
    if image_bgr.shape[:2] != result.size:
        raise ValueError(f"result must have the picture's size {image_bgr.shape[:2]}, but has {result.size}")
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, but got {style!r}")
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be 0 to 1, but got {alpha}")
    if not 0.1 <= text_scale <= 10:
        raise ValueError(f"text_scale must be 0.1 to 10, but got {text_scale}")
    if area_threshold < 0:
        raise ValueError(f"area_threshold must be 0 or more pixels, but got {area_threshold}")
    if out is not None and (out.shape != image_bgr.shape or out.dtype != np.uint8 or not out.flags.writeable):
        raise ValueError(f"out must be uint8 {image_bgr.shape} and writable, but got {out.dtype} {out.shape}")
    if out is not None and (out.strides[2] != 1 or (out.shape[1] > 1 and out.strides[1] != 3)):
        raise ValueError(f"out must have contiguous rows, strides (…, 3, 1), but got strides {out.strides}")
    if style == "none":
        return canvas_of(image_bgr, out)
    result = result if stuff else things_alone(result)
    if style == "detectron2":
        options = {"alpha": alpha, "scores": scores, "captions": captions, "text_scale": text_scale}
        drawn = detectron2_overlay(image_bgr, result, **options, area_threshold=area_threshold)  # type: ignore[arg-type]
        return drawn if out is None else canvas_of(drawn, out)
    alpha = 0.5 if alpha is None else alpha
    pen = Pen.for_size(*result.size, text_scale)
    painted = _painted(image_bgr, result, alpha, pen, out, named=captions)
    if captions:
        _label(painted, pen, reserved, scores=scores)
    return painted.canvas


def things_alone(result: Result) -> Result:
    """Return a result without its stuff; maps stay as they are."""
    if isinstance(result, PanopticResult):
        alone = copy(result)
        object.__setattr__(alone, "segments", [segment for segment in result.segments if segment.isthing])
        return alone
    if isinstance(result, SemanticResult):
        return result.filter([place for place, label in enumerate(result.labels) if label.isthing])
    return result


@dataclass(frozen=True, eq=False)
class _Painted:
    """A painted picture, and what is to be labelled in it: objects, where they are named, and the labels of a map."""

    canvas: Image
    objects: list[Subject]
    index: Index | None = None
    names: dict[int, Label] = field(default_factory=dict)


def _painted(image: Image, result: Result, alpha: float, pen: Pen, out: Image | None, *, named: bool) -> _Painted:
    if isinstance(result, SemanticResult):
        return _semantic(image, result, alpha, pen, out)
    if isinstance(result, InstanceResult):
        return _instance(image, result, alpha, pen, out, named=named)
    return _panoptic(image, result, alpha, pen, out, named=named)


def _label(painted: _Painted, pen: Pen, reserved: Sequence[tuple[int, int, int, int]], *, scores: bool) -> None:
    """Write labels into a painted picture."""
    board = Board(painted.canvas, pen, reserved)
    for subject in sorted(painted.objects, key=lambda subject: -subject.area)[:_LABELLED_OBJECTS]:
        board.label_object(subject, score=scores)
    if painted.index is not None:
        for subject in _region_subjects(painted.index, painted.names):
            board.label_region(subject, score=False)
    board.paste()


def _semantic(image: Image, result: SemanticResult, alpha: float, pen: Pen, out: Image | None) -> _Painted:
    index, names = _class_index(result.class_map, result.labels)
    names = {value: label for value, label in names.items() if is_painted(label)}
    colors = {value: label.color for value, label in names.items()}
    return _Painted(paint_tinted(image, index, colors, alpha, pen, out), [], index, names)


def _panoptic(
    image: Image, result: PanopticResult, alpha: float, pen: Pen, out: Image | None, *, named: bool
) -> _Painted:
    stuff = [segment for segment in result.segments if not segment.isthing]
    places, masks = thing_runs(result)
    found = [result.segments[place] for place in places]
    smaller = [-segment.area for segment in found]
    order = sorted(range(len(found)), key=smaller.__getitem__)
    things = [found[place] for place in order]
    classes = sorted({segment.class_id for segment in stuff})[:255]
    values = {class_id: value for value, class_id in enumerate(classes, start=1)}
    ids = result.stored_ids
    index = Index(ids, {segment.id: values[segment.class_id] for segment in stuff if segment.class_id in values})
    names = {value: result.labels[class_id] for class_id, value in values.items()}
    colors = {value: label.color for value, label in names.items()}
    canvas = paint_tinted(image, index, colors, alpha * 0.84, pen, out)

    shades = instance_shades(
        [segment.class_id for segment in things],
        [(segment.bbox[0] + segment.bbox[2] / 2) / ids.shape[1] for segment in things],
        [segment.track_id for segment in things],
    )
    tints = [
        shade(result.labels[segment.class_id].color, number) for segment, number in zip(things, shades, strict=True)
    ]
    objects = []
    for segment, color in zip(things, tints, strict=True) if named else ():
        label = result.labels[segment.class_id]
        x, y, width, height = segment.bbox
        tight = partial(_where, ids[y : y + height, x : x + width], segment.id)
        name = _named(label, segment.track_id)
        objects.append(Subject(name, segment.score, color, tight, (height, width), x, y, segment.area))
    paint_outlined(canvas, masks, tints, alpha, pen, order)
    return _Painted(canvas, objects, index if names else None, names)


def _instance(
    image: Image, result: InstanceResult, alpha: float, pen: Pen, out: Image | None, *, named: bool
) -> _Painted:
    canvas = canvas_of(image, out)
    areas, extents = rle.measure(result.rles)
    # Large objects first: what is small lies on top and stays visible.
    order = [int(position) for position in np.argsort(-areas, kind="stable") if areas[position]]
    boxes = [_xywh(extents[position]) for position in order]
    tracks = [result[position].track_id for position in order]
    shades = instance_shades(
        [int(result.class_ids[position]) for position in order],
        [(box[0] + box[2] / 2) / result.size[1] for box in boxes],
        tracks,
    )
    masks = MaskRuns.of_rles([result.rles[position] for position in order])
    classes = [result.labels[int(result.class_ids[position])] for position in order]
    tints = [shade(label.color, number) for label, number in zip(classes, shades, strict=True)]
    objects = []
    kinds = zip(order, boxes, classes, tints, tracks, strict=True)
    for place, (position, box, label, color, track) in enumerate(kinds) if named else ():
        x, y, width, height = box
        tight = partial(_filled, masks, place, box)
        score, area = float(result.scores[position]), int(areas[position])
        objects.append(Subject(_named(label, track), score, color, tight, (height, width), x, y, area))
    paint_outlined(canvas, masks, tints, alpha, pen)
    return _Painted(canvas, objects)


def _named(label: Label, track_id: int | None) -> str:
    """Return what an object's caption says before its score: its class, and which one it is where that is known."""
    return label.name if track_id is None else f"{label.name} {track_id}"


def _region_subjects(index: Index, names: dict[int, Label]) -> Iterable[Subject]:
    """Yield what to label in a map of regions: the large connected parts of each class, largest first."""
    height, width = index.ids_map.shape
    step = max(1, round(max(height, width) / _REGION_MAP_SIDE))
    step = step if min(height, width) > step else 1
    small = _look_up(np.ascontiguousarray(index.ids_map[step // 2 :: step, step // 2 :: step]), index.values)
    present = np.bincount(small.reshape(-1), minlength=256)
    subjects = []
    for value, label in names.items():
        if present[value] < SMALLEST_REGION * small.size:
            continue
        mask = (small == value).view(np.uint8)
        x, y, wide, high = cv2.boundingRect(mask)
        # With its surroundings, from which closing takes what lies at its edge.
        x0, y0 = max(0, x - 2), max(0, y - 2)
        mask = np.ascontiguousarray(mask[y0 : y + high + 2, x0 : x + wide + 2])
        # A line of one pixel, a lamp post for instance, does not cut a region in two.
        joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CLOSING)
        for cut, left, top, area in regions(joined, small.size):
            inside = cut & mask[top : top + cut.shape[0], left : left + cut.shape[1]]
            place = ((x0 + left) * step, (y0 + top) * step, area * step * step, step)
            subjects.append(Subject(label.name, None, label.color, partial(_itself, inside), inside.shape, *place))
    return sorted(subjects, key=lambda subject: -subject.area)


_BYTES = {value: value for value in range(256)}


def _class_index(class_map: npt.NDArray[Any], labels: tuple[Label, ...]) -> tuple[Index, dict[int, Label]]:
    """Return a map as an index, and the label of each of its values, for a map of any number of classes."""
    if class_map.dtype == np.uint8:
        return Index(class_map, _BYTES), dict(enumerate(labels))
    present = [class_id for class_id in np.unique(class_map).tolist() if class_id < len(labels)][:255]
    values = {class_id: value for value, class_id in enumerate(present, start=1)}
    return Index(class_map, values), {value: labels[class_id] for class_id, value in values.items()}


def _look_up(ids: npt.NDArray[Any], table: Mapping[int, int]) -> Image:
    """Return uint8 `table[id]`, or 0, for each of `ids` (H, W)."""
    if int(ids.max()) < 256:
        dense = np.zeros(256, np.uint8)
        for key, value in table.items():
            if key < 256:  # `ids` may be a part of the map that the table is of
                dense[key] = value
        return cv2.LUT(ids.astype(np.uint8), dense)
    return remap(ids, dict(table), default=0, dtype=np.uint8)


def _where(ids: npt.NDArray[Any], value: int) -> Image:
    """Return uint8 255 where `ids` is `value`, else 0."""
    mask: Image = (ids == value).view(np.uint8) * np.uint8(255)
    return mask


def _itself(mask: Image) -> Image:
    return mask


def _filled(masks: MaskRuns, place: int, box: tuple[int, int, int, int]) -> Image:
    """Return one mask within its box (x, y, width, height), uint8 0 or 1."""
    x, y, width, height = box
    mask: Image = masks.cut(place, (x, y, x + width, y + height)).view(np.uint8)
    return mask


def _xywh(extent: npt.NDArray[Any]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(side) for side in extent)
    return left, top, right - left, bottom - top
