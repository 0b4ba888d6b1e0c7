"""The overlay: a result painted over its picture."""

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.captions import SMALLEST_REGION, Board, Subject, regions
from segrt.runtime.draw.fills import Image, Pen, paint_object, paint_regions
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, SemanticResult, rle
from segrt.runtime.results.labels.palette import instance_shades, shade
from segrt.runtime.results.remap import remap

# Regions are labelled from a reduced map, whose long side is this.
_REGION_MAP_SIDE = 256
_LABELLED_OBJECTS = 60
UNPAINTED = ("background", "other")  # classes of a map that mean "nothing of interest": the picture stays as it is


def is_painted(label: Label) -> bool:
    """Say whether pixels of the class get a colour."""
    return label.isthing or label.name.lower() not in UNPAINTED


def overlay(
    image_bgr: Image,
    result: Result,
    *,
    alpha: float = 0.5,
    scores: bool = True,
    captions: bool = True,
    text_scale: float = 1.0,
    reserved: Sequence[tuple[int, int, int, int]] = (),
) -> Image:
    """Return a copy of the picture with the result painted over it.

    Args:
        image_bgr: the picture, uint8 (H, W, 3) BGR, of the result's size.
        result: semantic: one tint per class but "background" and "other"; instance: a shade and outline per object;
            panoptic: both. An object of a track has the track's shade, and its number behind the name.
        alpha: opacity of the fill, 0 to 1.
        scores: write each object's score behind its name.
        captions: write labels at all.
        text_scale: factor on size of text and width of lines, for a picture that will be shown reduced.
        reserved: boxes (left, top, right, bottom) in pixels that labels leave free, for what is drawn there later.

    Returns:
        uint8 (H, W, 3) BGR.

    Raises:
        ValueError: picture and result differ in size, or `alpha` or `text_scale` is out of range.
    """
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ValueError(f"image_bgr must be uint8 with shape (H, W, 3), but got {image_bgr.dtype} {image_bgr.shape}")
    if image_bgr.shape[:2] != result.size:
        raise ValueError(f"result must have the picture's size {image_bgr.shape[:2]}, but has {result.size}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be 0 to 1, but got {alpha}")
    if not 0.1 <= text_scale <= 10:
        raise ValueError(f"text_scale must be 0.1 to 10, but got {text_scale}")
    pen = Pen.for_size(*result.size, text_scale)
    if isinstance(result, SemanticResult):
        canvas, objects, index, names = _semantic(image_bgr, result, alpha, pen)
    elif isinstance(result, InstanceResult):
        canvas, objects, index, names = _instance(image_bgr, result, alpha, pen)
    else:
        canvas, objects, index, names = _panoptic(image_bgr, result, alpha, pen)
    if captions:
        board = Board(canvas, pen, reserved)
        for subject in sorted(objects, key=lambda subject: -subject.area)[:_LABELLED_OBJECTS]:
            board.label_object(subject, score=scores)
        if index is not None:
            for subject in _region_subjects(index, names):
                board.label_region(subject, score=False)
        board.paste()
    return canvas


_Painted = tuple[Image, list[Subject], Image | None, dict[int, Label]]


def _semantic(image: Image, result: SemanticResult, alpha: float, pen: Pen) -> _Painted:
    index, names = _class_index(result.class_map, range(len(result.labels)), result.labels)
    names = {value: label for value, label in names.items() if is_painted(label)}
    colors = {value: label.color for value, label in names.items()}
    return paint_regions(image, index, colors, alpha, pen, lines=True), [], index, names


def _panoptic(image: Image, result: PanopticResult, alpha: float, pen: Pen) -> _Painted:
    stuff = [segment for segment in result.segments if not segment.isthing]
    things = sorted((segment for segment in result.segments if segment.isthing), key=lambda segment: -segment.area)
    classes = sorted({segment.class_id for segment in stuff})
    values = {class_id: value for value, class_id in enumerate(classes[:255], start=1)}
    table = {segment.id: values.get(segment.class_id, 0) for segment in stuff}
    index = _look_up(result.segment_ids, table)
    names = {value: result.labels[class_id] for class_id, value in values.items()}
    colors = {value: label.color for value, label in names.items()}
    canvas = paint_regions(image, index, colors, alpha * 0.84, pen, lines=True)

    shades = instance_shades(
        [segment.class_id for segment in things],
        [(segment.bbox[0] + segment.bbox[2] / 2) / result.size[1] for segment in things],
        [segment.track_id for segment in things],
    )
    objects = []
    for segment, number in zip(things, shades, strict=True):
        cut = _around(segment.bbox, result.size, pen.reach)
        mask = _where(result.segment_ids[cut], segment.id)
        label = result.labels[segment.class_id]
        color = shade(label.color, number)
        paint_object(canvas, mask, cut[1].start, cut[0].start, color, alpha, pen)
        x, y, width, height = segment.bbox
        tight = mask[y - cut[0].start :, x - cut[1].start :][:height, :width]
        name = _named(label, segment.track_id)
        objects.append(Subject(name, segment.score, color, tight, x, y, segment.area))
    return canvas, objects, index, names


def _instance(image: Image, result: InstanceResult, alpha: float, pen: Pen) -> _Painted:
    canvas = image.copy()
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
    objects = []
    for position, box, number, track in zip(order, boxes, shades, tracks, strict=True):
        label = result.labels[int(result.class_ids[position])]
        color = shade(label.color, number)
        # One mask at a time: all of a 4K picture's would be hundreds of megabytes.
        whole = rle.decode(result.rles[position]).view(np.uint8)
        cut = _around(box, result.size, pen.reach)
        paint_object(canvas, whole[cut] * np.uint8(255), cut[1].start, cut[0].start, color, alpha, pen)
        x, y, width, height = box
        tight = whole[y : y + height, x : x + width]
        score, area = float(result.scores[position]), int(areas[position])
        objects.append(Subject(_named(label, track), score, color, tight, x, y, area))
    return canvas, objects, None, {}


def _named(label: Label, track_id: int | None) -> str:
    """Return what an object's caption says before its score: its class, and which one it is where that is known."""
    return label.name if track_id is None else f"{label.name} {track_id}"


def _region_subjects(index: Image, names: dict[int, Label]) -> Iterable[Subject]:
    """Yield what to label in a map of regions: the large connected parts of each class, largest first."""
    height, width = index.shape
    step = max(1, round(max(height, width) / _REGION_MAP_SIDE))
    small = np.ascontiguousarray(index[step // 2 :: step, step // 2 :: step]) if min(height, width) > step else index
    present = np.bincount(small.reshape(-1), minlength=256)
    subjects = []
    for value, label in names.items():
        if present[value] < SMALLEST_REGION * small.size:
            continue
        mask = _where(small, value)
        # A line of one pixel, a lamp post for instance, does not cut a region in two.
        joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        for cut, left, top, area in regions(joined, small.size):
            inside = cv2.bitwise_and(
                cut, (mask[top : top + cut.shape[0], left : left + cut.shape[1]] > 0).view(np.uint8)
            )
            place = (left * step, top * step, area * step * step, step)
            subjects.append(Subject(label.name, None, label.color, inside, *place))
    return sorted(subjects, key=lambda subject: -subject.area)


def _class_index(
    class_map: npt.NDArray[Any], classes: Iterable[int], labels: tuple[Label, ...]
) -> tuple[Image, dict[int, Label]]:
    """Return a map of uint8 indices and the label of each, for a map of any number of classes."""
    if class_map.dtype == np.uint8:
        return np.ascontiguousarray(class_map), {class_id: labels[class_id] for class_id in classes}
    present = [class_id for class_id in np.unique(class_map).tolist() if class_id < len(labels)][:255]
    values = {class_id: value for value, class_id in enumerate(present, start=1)}
    return _look_up(class_map, values), {value: labels[class_id] for class_id, value in values.items()}


def _look_up(ids: npt.NDArray[Any], table: dict[int, int]) -> Image:
    """Return uint8 `table[id]`, or 0, for each of `ids` (H, W)."""
    if int(ids.max()) < 256:
        dense = np.zeros(256, np.uint8)
        for key, value in table.items():
            dense[key] = value
        return cv2.LUT(ids.astype(np.uint8), dense)
    return remap(ids, table, default=0, dtype=np.uint8)


def _where(ids: npt.NDArray[Any], value: int) -> Image:
    """Return uint8 255 where `ids` is `value`, else 0."""
    mask: Image = (ids == value).view(np.uint8) * np.uint8(255)
    return mask


def _xywh(extent: npt.NDArray[Any]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(side) for side in extent)
    return left, top, right - left, bottom - top


def _around(box: tuple[int, int, int, int], size: tuple[int, int], reach: int) -> tuple[slice, slice]:
    """Return the rows and columns of a box (x, y, width, height), `reach` pixels wider, within the picture."""
    x, y, width, height = box
    rows = slice(max(0, y - reach), min(size[0], y + height + reach))
    return rows, slice(max(0, x - reach), min(size[1], x + width + reach))
