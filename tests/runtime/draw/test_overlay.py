"""Overlays show each result in its classes' colours, leave the rest alone, and stay legible at any size."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from segrt.runtime import draw
from segrt.runtime.draw import fills
from segrt.runtime.draw.captions import Board, Subject
from segrt.runtime.draw.fills import Pen
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle

LABELS = (
    Label("sky", 1, False, (90, 160, 220)),
    Label("road", 2, False, (110, 90, 150)),
    Label("car", 3, True, (40, 110, 240)),
    Label("person", 4, True, (230, 60, 80)),
)


def picture(height=240, width=320, level=128):
    return np.full((height, width, 3), level, np.uint8)


def street(height=240, width=320):
    """Sky above, road below, a round car and a person, and a strip of void at the left."""
    ids = np.ones((height, width), np.int32)
    ids[height // 2 :] = 2
    disc = np.zeros((height, width), np.uint8)
    cv2.circle(disc, (width // 3, height * 2 // 3), height // 7, 1, -1)
    ids[disc > 0] = 3
    ids[height // 3 : height * 5 // 6, width * 3 // 4 : width * 3 // 4 + height // 6] = 4
    ids[:, : width // 16] = 0
    segments = []
    for value, class_id, score in ((1, 0, 0.9), (2, 1, 0.9), (3, 2, 0.87), (4, 3, 0.63)):
        mask = ids == value
        box = cv2.boundingRect(mask.astype(np.uint8))
        segments.append(Segment(value, class_id, LABELS[class_id].isthing, score, int(mask.sum()), box))
    return PanopticResult(ids, segments, LABELS)


def tinted_towards(before, after, color):
    """The mean colour moved towards an RGB colour in every channel, and by a good part of the way."""
    way = np.array(color[::-1], float) - before.reshape(-1, 3).mean(0)
    moved = after.reshape(-1, 3).mean(0) - before.reshape(-1, 3).mean(0)
    return np.all((moved / way > 0.2) & (moved / way < 0.8))


@pytest.mark.parametrize("kind", ["panoptic", "semantic", "instance"])
def test_an_overlay_is_a_new_picture_of_the_same_size(kind):
    panoptic = street()
    result = {"panoptic": panoptic, "semantic": panoptic.to_semantic(), "instance": panoptic.to_instances()}[kind]
    image = picture()
    drawn = draw.overlay(image, result)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert not np.shares_memory(drawn, image)
    assert (image == 128).all()
    assert (drawn != image).any()
    np.testing.assert_array_equal(drawn, draw.overlay(image, result))


def test_regions_are_tinted_in_their_classes_color_and_void_stays_clear():
    image = picture()
    drawn = draw.overlay(image, street().to_semantic(), captions=False)
    np.testing.assert_array_equal(drawn[:, :12], image[:, :12])
    assert tinted_towards(image[5:50, 60:300], drawn[5:50, 60:300], LABELS[0].color)
    assert tinted_towards(image[200:230, 150:220], drawn[200:230, 150:220], LABELS[1].color)
    assert tinted_towards(image[100:180, 250:265], drawn[100:180, 250:265], LABELS[3].color)


def test_an_instance_overlay_changes_nothing_far_from_the_objects():
    result = street().to_instances()
    image = picture()
    drawn = draw.overlay(image, result, captions=False)
    near = cv2.dilate(result.masks.any(axis=0).astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    np.testing.assert_array_equal(drawn[~near], image[~near])
    assert (drawn[result.masks.any(axis=0)] != 128).any(axis=1).all()


def test_an_outline_is_brighter_than_the_fill_it_encloses():
    result = street().to_instances()
    mask = result.masks[0]
    drawn = draw.overlay(picture(level=60), result, captions=False).astype(int).sum(axis=2)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    ring = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    assert drawn[ring].mean() > 1.3 * drawn[inner].mean()


def test_overlapping_objects_both_stay_visible():
    masks = np.zeros((2, 120, 160), bool)
    masks[0, 10:110, 10:150] = True
    masks[1, 40:70, 60:100] = True
    result = InstanceResult(
        np.array([[10, 10, 150, 110], [60, 40, 100, 70]], np.float32),
        np.array([0.5, 0.9], np.float32),
        np.array([2, 3]),
        [rle.encode(mask) for mask in masks],
        (120, 160),
        LABELS,
    )
    drawn = draw.overlay(picture(120, 160), result, captions=False)
    small = drawn[50:60, 70:90].reshape(-1, 3).mean(0)
    large = drawn[80:100, 20:140].reshape(-1, 3).mean(0)
    assert small[2] > large[2] + 30
    assert large[0] > small[0] + 30


def test_objects_of_one_class_side_by_side_have_different_shades():
    ids = np.zeros((120, 320), np.int32)
    segments = []
    for number in range(4):
        left = 20 + 70 * number
        ids[30:90, left : left + 60] = number + 1
        segments.append(Segment(number + 1, 2, True, 0.9, 3600, (left, 30, 60, 60)))
    drawn = draw.overlay(picture(120, 320), PanopticResult(ids, segments, LABELS), captions=False)
    colors = [drawn[60, 50 + 70 * number].astype(int) for number in range(4)]
    for first, second in pairwise(colors):
        assert np.abs(first - second).sum() > 20


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (50, 1), (7, 9), (180, 320), (2160, 3840)])
def test_any_size_can_be_drawn(height, width):
    ids = np.ones((height, width), np.int32)
    segments = [Segment(1, 2, True, 0.5, height * width, (0, 0, width, height))]
    result = PanopticResult(ids, segments, LABELS)
    for each in (result, result.to_semantic(), result.to_instances()):
        assert draw.overlay(picture(height, width), each).shape == (height, width, 3)


@pytest.mark.parametrize(("height", "width"), [(180, 320), (720, 1280), (2160, 3840)])
def test_text_and_lines_grow_with_the_picture(height, width):
    pen = Pen.for_size(height, width)
    assert pen.font >= 9
    assert 0.014 <= pen.font / np.sqrt(height * width) <= 0.04
    assert pen.line >= 1.5
    assert Pen.for_size(height, width, 2.0).font >= 2 * pen.font - 1


def changed(result, **options):
    """The pixels that captions change."""
    image = picture(*result.size)
    return (draw.overlay(image, result, **options) != draw.overlay(image, result, captions=False)).any(axis=2)


def test_captions_stand_in_the_picture_and_name_every_large_segment():
    pixels = changed(street(480, 640))
    assert not pixels[:2].any()
    assert not pixels[:, -2:].any()
    count, _, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8))
    large = [area for area in stats[1:, cv2.CC_STAT_AREA] if area > 200]
    assert count >= 5
    assert len(large) == 4


def test_scores_can_be_left_out():
    assert changed(street(480, 640)).sum() > changed(street(480, 640), scores=False).sum()


def test_tiny_objects_get_no_caption():
    ids = np.zeros((480, 640), np.int32)
    ids[200:206, 300:305] = 1
    result = PanopticResult(ids, [Segment(1, 3, True, 0.9, 30, (300, 200, 5, 6))], LABELS)
    assert not changed(result).any()


def test_captions_never_lie_on_each_other():
    canvas = picture(300, 400)
    board = Board(canvas, Pen.for_size(300, 400))
    rng = np.random.default_rng(0)
    for number in range(40):
        left, top = int(rng.integers(0, 330)), int(rng.integers(0, 230))
        mask = np.ones((70, 70), np.uint8)
        subject = Subject("person", 0.5, (200, 60, 80), lambda mask=mask: mask, mask.shape, left, top, mask.size)
        if number % 2:
            board.label_object(subject, score=True)
        else:
            board.label_region(subject, score=False)
    covered = np.zeros((300, 400), int)
    assert len(board.places) >= 8
    for left, top, right, bottom in board.places:
        assert 0 <= left < right <= 400
        assert 0 <= top < bottom <= 300
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1


def test_a_caption_stands_inside_its_region_not_in_the_hole_of_it():
    ids = np.ones((480, 640), np.int32)
    ids[100:380, 140:500] = 0
    result = PanopticResult(ids, [Segment(1, 1, False, 0.9, int(ids.sum()), (0, 0, 640, 480))], LABELS)
    pixels = changed(result)
    assert pixels.any()
    assert not pixels[130:350, 170:470].any()


def test_more_classes_than_a_byte_holds_can_be_drawn():
    many = tuple(Label(f"class {index}", index, False, (index % 256, 90, 200)) for index in range(400))
    class_map = np.repeat(np.arange(400, dtype=np.uint16).reshape(20, 20), 12, 0).repeat(16, 1)
    drawn = draw.overlay(picture(240, 320), SemanticResult(class_map, many), captions=False)
    shown = (drawn[6::12, 8::16] != 128).any(axis=2)
    assert shown.sum() >= 255


def test_wrong_arguments_are_named():
    result = street()
    with pytest.raises(ValueError, match=r"picture's size \(10, 10\), but has \(240, 320\)"):
        draw.overlay(picture(10, 10), result)
    with pytest.raises(ValueError, match=r"image_bgr must be uint8 with shape \(H, W, 3\), but got float64"):
        draw.overlay(np.zeros((240, 320, 3)), result)
    with pytest.raises(ValueError, match="alpha must be 0 to 1, but got 2"):
        draw.overlay(picture(), result, alpha=2)
    with pytest.raises(ValueError, match="text_scale must be"):
        draw.overlay(picture(), result, text_scale=0)


def test_the_background_class_of_a_semantic_map_is_left_as_it_is() -> None:
    labels = (Label("background", 0, False, (0, 0, 0)), Label("car", 7, True, (0, 0, 255)))
    class_map = np.zeros((120, 160), np.uint8)
    class_map[40:80, 60:110] = 1
    image = np.full((120, 160, 3), 200, np.uint8)
    painted = draw.overlay(image, SemanticResult(class_map, labels), captions=False)
    np.testing.assert_array_equal(painted[:30], image[:30])
    assert np.abs(painted[55:65, 75:95].astype(int) - 200).max() > 50


def test_a_small_region_of_a_class_above_255_is_painted():
    labels = tuple(Label(f"class {index}", index, False, (0, 200, 0)) for index in range(400))
    class_map = np.full((720, 1280), 3, np.uint16)
    class_map[1, 1] = 300  # between the pixels that captions look at
    image = picture(720, 1280)
    drawn = draw.overlay(image, SemanticResult(class_map, labels))
    assert (drawn[1, 1] != image[1, 1]).any()


def test_views_of_pictures_are_drawn_on_as_their_copies_are():
    rgb = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    for result in (street(60, 90), street(60, 90).to_semantic(), street(60, 90).to_instances()):
        for view in (rgb[..., ::-1], rgb[:, ::-1], np.asfortranarray(rgb)):
            np.testing.assert_array_equal(draw.overlay(view, result), draw.overlay(view.copy(order="C"), result))


def test_a_very_large_picture_and_large_text_have_outlines_as_wide_as_can_be():
    assert Pen.for_size(20_000, 30_000, 10).sigma == 80
    weights = fills._blur_weights(80.0)
    assert weights.sum() == 256
    assert weights[len(weights) // 2] > 0
