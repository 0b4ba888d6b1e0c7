"""The core paints, pixel for pixel, what a chain of whole-picture steps by OpenCV and NumPy paints."""

import cv2
import numpy as np
import pytest

from segrt.runtime.draw import overlay
from segrt.runtime.draw.fills import _LINE_OPACITY, Index, Pen, _object_tables, paint_outlined, paint_tinted
from segrt.runtime.postproc import ArgumentError, MaskRuns, paste_sprites
from segrt.runtime.results import Label, PanopticResult, Segment, SemanticResult, rle


def tinted_slowly(image, index, colors, alpha, pen):
    table, clear = np.zeros((256, 1, 3), np.uint8), np.full(256, 255, np.uint8)
    for value, color in colors.items():
        table[value, 0], clear[value] = color[::-1], 0
    painted = cv2.addWeighted(image, 1 - alpha, cv2.applyColorMap(index, table), alpha, 0)
    cv2.copyTo(image, cv2.LUT(index, clear), painted)
    reach = max(2, round(pen.line))
    kernel = np.ones((reach, reach), np.uint8)
    soft = cv2.blur(cv2.compare(cv2.dilate(index, kernel), cv2.erode(index, kernel), cv2.CMP_NE), (3, 3))
    weight = (soft.astype(np.uint16) * _LINE_OPACITY >> 8)[..., None]
    return np.where(soft[..., None] > 0, (painted * (255 - weight) + 255 * weight) >> 8, painted).astype(np.uint8)


def outlined_slowly(canvas, masks, colors, alpha, pen):
    for mask, color in zip(masks, colors, strict=True):
        soft = cv2.GaussianBlur(mask * np.uint8(255), (0, 0), pen.sigma, borderType=cv2.BORDER_REPLICATE)
        light, keep = _object_tables(color, round(alpha, 3), round(pen.line, 2), round(pen.sigma, 2))[..., :3]
        canvas = cv2.add(cv2.multiply(canvas, keep[soft], scale=1 / 255), light[soft])
    return canvas


def pasted_slowly(canvas, sprites):
    height, width = canvas.shape[:2]
    for light, keep, left, top in sprites:
        y0, x0 = max(top, 0), max(left, 0)
        y1, x1 = min(top + light.shape[0], height), min(left + light.shape[1], width)
        if y0 < y1 and x0 < x1:
            part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
            below = cv2.multiply(canvas[y0:y1, x0:x1], np.ascontiguousarray(keep[part]), scale=1 / 255)
            canvas[y0:y1, x0:x1] = cv2.add(below, np.ascontiguousarray(light[part]))


def scene(size, seed):
    rng = np.random.default_rng(seed)
    ids = np.zeros(size, np.int32)
    for number in range(1, 8):
        centre = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        axes = (int(rng.integers(1, size[1] // 2 + 2)), int(rng.integers(1, size[0] // 2 + 2)))
        cv2.ellipse(ids, centre, axes, int(rng.integers(180)), 0, 360, number, -1)
    ids[rng.random(size) < 0.02] = 0
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8), ids


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 9), (50, 131), (120, 200)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_regions_and_their_lines_are_those_of_whole_picture_steps(size, dtype):
    for seed, (alpha, scale) in enumerate([(0.42, 1.0), (0.25, 3.0), (1.0, 0.5)]):
        image, ids = scene(size, seed)
        pen = Pen.for_size(*size, scale)
        values = {1: 1, 2: 2, 3: 2, 5: 9, 6: 0}
        colors = {1: (90, 160, 220), 2: (110, 90, 150), 9: (255, 0, 1)}
        index = np.zeros(size, np.uint8)
        for number, value in values.items():
            index[ids == number] = value
        painted = paint_tinted(image, Index(ids.astype(dtype), values), colors, alpha, pen)
        np.testing.assert_array_equal(painted, tinted_slowly(image, index, colors, alpha, pen))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 9), (50, 131), (120, 200)])
def test_objects_are_those_of_whole_picture_steps(size):
    for seed, scale in enumerate([1.0, 3.0, 0.5]):
        image, ids = scene(size, seed)
        pen = Pen.for_size(*size, scale)
        masks = [(ids == number).view(np.uint8) for number in (3, 1, 7)]
        colors = [(40, 110, 240), (230, 60, 80), (40, 110, 240)]
        expected = outlined_slowly(image, masks, colors, 0.5, pen)
        for runs in (MaskRuns.of_map(ids, [3, 1, 7]), MaskRuns.of_rles([rle.encode(mask) for mask in masks])):
            canvas = image.copy()
            paint_outlined(canvas, runs, colors, 0.5, pen)
            np.testing.assert_array_equal(canvas, expected)


def street(size=(90, 160)):
    """A picture, and a panoptic result of it: stuff 1 and 2 around the things 3 and 4."""
    image, _ = scene(size, 4)
    ids = np.ones(size, np.int32)
    ids[: size[0] // 3] = 2
    cv2.ellipse(ids, (40, 50), (20, 30), 0, 0, 360, 3, -1)
    cv2.ellipse(ids, (155, 60), (30, 12), 0, 0, 360, 4, -1)
    labels = [Label("road", 1, False, (90, 90, 90)), Label("sky", 2, False, (60, 120, 200))]
    labels.append(Label("car", 3, True, (200, 30, 60)))
    segments = []
    for number, class_id in ((1, 0), (2, 1), (3, 2), (4, 2)):
        box = cv2.boundingRect((ids == number).view(np.uint8))
        segments.append(Segment(number, class_id, class_id == 2, 0.9, int((ids == number).sum()), box, track_id=number))
    return image, PanopticResult(ids, segments, tuple(labels))


@pytest.mark.parametrize("style", ["segrt", "detectron2", "none"])
@pytest.mark.parametrize("stuff", [True, False])
@pytest.mark.parametrize("kind", ["panoptic", "instance", "semantic"])
def test_pictures_are_painted_in_place_or_into_another_as_into_a_new_one(kind, stuff, style):
    image, result = street()
    if kind == "instance":
        result = result.to_instances()
    elif kind == "semantic":
        result = SemanticResult(np.array([0, 0, 1, 2, 2], np.uint8)[result.segment_ids], result.labels)
    options = {"stuff": stuff, "style": style}
    before = image.copy()
    expected = overlay(image, result, **options)
    np.testing.assert_array_equal(image, before)
    assert (style == "none") == np.array_equal(expected, image)
    other = np.full_like(image, 7)
    assert overlay(image, result, **options, out=other) is other
    np.testing.assert_array_equal(other, expected)
    np.testing.assert_array_equal(image, before)
    assert overlay(image, result, **options, out=image) is image
    np.testing.assert_array_equal(image, expected)


def test_without_stuff_only_things_and_their_outlines_are_touched():
    image, result = street()
    drawn = overlay(image, result, stuff=False, captions=False)
    things = (result.segment_ids >= 3).view(np.uint8)
    near = cv2.dilate(things, np.ones((3, 3), np.uint8), iterations=Pen.for_size(*result.size).reach) > 0
    np.testing.assert_array_equal(drawn[~near], image[~near])
    inside = cv2.erode(things, np.ones((3, 3), np.uint8), iterations=4) > 0
    assert (drawn[inside] != image[inside]).any(axis=1).mean() > 0.95
    np.testing.assert_array_equal(drawn, overlay(image, result.to_instances(), captions=False))


@pytest.mark.parametrize("out", [np.zeros((90, 159, 3), np.uint8), np.zeros((90, 160, 3), np.float32), "locked"])
def test_what_cannot_be_painted_into_is_refused(out):
    image, result = street()
    if isinstance(out, str):
        out = image.copy()
        out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be uint8"):
        overlay(image, result, out=out)


def test_runs_that_lie_over_each_other_are_refused():
    canvas = np.zeros((8, 8, 3), np.uint8)
    for runs in ([[1, 0, 4], [1, 3, 6]], [[2, 0, 4], [1, 0, 4]]):
        for by_columns in (False, True):
            masks = MaskRuns(np.array(runs, np.int32), np.array([0, 2]), by_columns)
            with pytest.raises(ValueError, match="runs by line and begin, none over another"):
                paint_outlined(canvas, masks, [(1, 2, 3)], 0.5, Pen.for_size(8, 8))


@pytest.mark.parametrize("style", ["segrt", "detectron2", "none"])
def test_rows_that_are_not_contiguous_are_said_of_out(style):
    image, result = street()
    wide = np.zeros((90, 320, 3), np.uint8)
    for out in (wide[:, ::2], wide[:, 159::-1], wide[:, :160, ::-1]):
        with pytest.raises(ValueError, match=r"^out must have contiguous rows"):
            overlay(image, result, style=style, out=out)
    assert not wide.any()
    part = wide[:, 100:260]
    assert overlay(image, result, style=style, out=part) is part
    np.testing.assert_array_equal(part, overlay(image, result, style=style))
    assert not wide[:, :100].any()


def test_sprites_are_pasted_as_by_whole_picture_steps_and_cut_at_every_edge():
    rng = np.random.default_rng(4)

    def sprite():
        shape = (*rng.integers(1, 12, 2), 3)
        places = [int(place) for place in rng.integers(-14, 50, 2)]
        return *rng.integers(0, 256, (2, *shape), dtype=np.uint8), *places

    sprites = [sprite() for _ in range(60)] + [(*sprite()[:2], -(2**62), 0), (*sprite()[:2], 0, 2**62)]
    canvas = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    expected = canvas.copy()
    pasted_slowly(expected, sprites[:60])
    wide = np.zeros((40, 50, 3), np.uint8)
    wide[:, 5:35] = canvas
    for target in (canvas, wide[:, 5:35]):
        paste_sprites(target, sprites)
        np.testing.assert_array_equal(target, expected)
    assert not wide[:, :5].any()
    assert not wide[:, 35:].any()


def test_every_byte_is_kept_as_opencv_rounds_it():
    every = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3).repeat(256, 0)
    canvas, light = every.transpose(1, 0, 2).copy(), np.zeros_like(every)
    expected = cv2.multiply(canvas, every, scale=1 / 255)
    paste_sprites(canvas, [(light, every, 0, 0)])
    np.testing.assert_array_equal(canvas, expected)


@pytest.mark.parametrize(
    ("light", "keep", "named"),
    [
        ((2, 3, 4), (2, 3, 4), "light"),
        ((2, 3, 3), (2, 2, 3), "keep"),
        ((6,), (6,), "light"),
        ((2, 3, 3), (18,), "keep"),
    ],
)
def test_sprites_of_other_shapes_are_refused(light, keep, named):
    with pytest.raises(ArgumentError, match=named):
        paste_sprites(np.zeros((4, 4, 3), np.uint8), [(np.zeros(light, np.uint8), np.zeros(keep, np.uint8), 0, 0)])
