"""Edited pictures: exact pixels where something changes, every bit as it was where nothing does."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from segrt.runtime.draw.background_words import background_of
from segrt.runtime.draw.picture_edits import Backdrop, Blurred, Greyed, PictureEdits, Plain, blurred, mask_of
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import write_image
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle

LABELS = (
    Label("sky", 1, False, (90, 160, 220)),
    Label("car", 2, True, (40, 110, 240)),
    Label("person", 3, True, (9, 9, 9)),
)
SIZE = (40, 64)


def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)


def ids() -> np.ndarray:
    """Sky, a car in the middle, a person at the right edge; a strip of void at the top."""
    found = np.ones(SIZE, np.int32)
    found[:4] = 0
    found[16:26, 20:36] = 2
    found[10:40, 56:] = 3
    return found


def results() -> list[SemanticResult | InstanceResult | PanopticResult]:
    found = ids()
    segments = [
        Segment(value, value - 1, LABELS[value - 1].isthing, 0.9, int((found == value).sum()), (0, 0, 1, 1))
        for value in (1, 2, 3)
    ]
    things = InstanceResult(
        boxes=np.zeros((2, 4), np.float32),
        scores=np.full(2, 0.9, np.float32),
        class_ids=np.array([1, 2]),
        rles=[rle.encode(found == 2), rle.encode(found == 3)],
        size=SIZE,
        labels=LABELS,
    )
    class_map = np.where(found == 0, 255, found - 1).astype(np.uint8)
    return [SemanticResult(class_map, LABELS), things, PanopticResult(found, segments, LABELS)]


RESULTS = pytest.mark.parametrize("result", results(), ids=lambda result: type(result).__name__)


@RESULTS
def test_masks_are_those_of_the_classes(result) -> None:
    np.testing.assert_array_equal(mask_of(result, frozenset({1})), ids() == 2)
    np.testing.assert_array_equal(mask_of(result, frozenset({1, 2})), ids() >= 2)
    assert not mask_of(result, frozenset()).any()


@RESULTS
def test_the_subject_keeps_its_bits_and_the_rest_becomes_the_background(result) -> None:
    given = image()
    before = given.copy()
    edited = PictureEdits(background=Plain((10, 20, 30)), subject=frozenset({1, 2}))(given, result)
    subject = ids() >= 2
    np.testing.assert_array_equal(edited[subject], given[subject])
    assert (edited[~subject] == (30, 20, 10)).all()
    np.testing.assert_array_equal(given, before)


@RESULTS
def test_blurred_classes_are_means_of_cells_and_the_rest_keeps_its_bits(result) -> None:
    given = image()
    edited = PictureEdits(blur=frozenset({1}))(given, result)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))  # half a cell of 8 pixels around
    wide = cv2.dilate((ids() == 2).astype(np.uint8), disc) > 0
    np.testing.assert_array_equal(edited[~wide], given[~wide])
    np.testing.assert_array_equal(edited[wide], blurred(given)[wide])
    assert wide[12, 28]
    assert not wide[11, 28]


def test_blurring_leaves_nothing_finer_than_a_cell() -> None:
    given = image()
    found = blurred(given)
    means = given.reshape(5, 8, 8, 8, 3).mean((1, 3))
    # Four pixels around a cell's centre are nearly its mean: the interpolation is at most 1/16 of the way to others.
    near = found.reshape(5, 8, 8, 8, 3)[:, 3:5, :, 3:5]
    assert np.abs(near - means[:, None, :, None]).max() < 255 / 16 * 2
    others = given.copy().reshape(5, 8, 8, 8, 3)
    others[:] = others[:, ::-1, :, ::-1]  # other pictures with the same cells
    np.testing.assert_array_equal(blurred(others.reshape(given.shape)), found)


def test_an_instance_that_is_found_without_a_mask_is_hidden_with_its_box() -> None:
    random = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    masks = np.zeros((3, 64, 64), bool)
    masks[1, 40:60, 40:60] = True
    boxes = np.array([[4.5, 6, 20, 22], [40, 40, 60, 60], [30, 2, 60, 20]], np.float32)
    found = InstanceResult(
        boxes=boxes,
        scores=np.full(3, 0.9, np.float32),
        class_ids=np.array([0, 0, 1]),
        rles=[rle.encode(mask) for mask in masks],
        size=(64, 64),
        labels=LABELS,
    )
    edited = PictureEdits(blur=frozenset({0}))(random, found)
    changed = (edited != random).any(2)
    assert changed[6:22, 5:20].mean() > 0.95, "no mask at all"
    assert changed[40:60, 40:60].mean() > 0.95, "a mask"
    assert not changed[2:20, 34:60].any(), "another class"


def test_a_blurred_object_does_not_come_back_in_a_background_of_the_picture() -> None:
    given, result = image(), results()[2]
    edited = PictureEdits(blur=frozenset({2}), background=Greyed(), subject=frozenset({1}))(given, result)
    grey = cv2.cvtColor(given, cv2.COLOR_BGR2GRAY)
    person, sky = (ids() == 3), (ids() == 1) & (np.arange(64) < 40)
    assert (edited[sky] == grey[sky][:, None]).all()
    hidden = cv2.cvtColor(blurred(given), cv2.COLOR_BGR2GRAY)
    assert (edited[person] == hidden[person][:, None]).all()


def test_nothing_found_is_all_background() -> None:
    nothing = PanopticResult(np.zeros(SIZE, np.int32), [], LABELS)
    assert (PictureEdits(background=Plain((1, 2, 3)), subject=frozenset({1}))(image(), nothing) == (3, 2, 1)).all()
    np.testing.assert_array_equal(PictureEdits(blur=frozenset({1}))(image(), nothing), image())


def test_a_backdrop_covers_from_its_middle() -> None:
    wide = np.zeros((10, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    found = Backdrop(wide)(np.zeros((20, 40, 3), np.uint8))
    assert found.shape == (20, 40, 3)
    assert (found == 200).all()  # twice as large, the middle third, of which nothing beside it is seen
    narrow = np.zeros((1, 60_000, 3), np.uint8)  # enlarged as a whole it would take 200 GB
    assert Backdrop(narrow)(np.zeros((1080, 1920, 3), np.uint8)).shape == (1080, 1920, 3)
    assert Backdrop(wide)(np.zeros((5, 10, 3), np.uint8)).shape == (5, 10, 3)


def test_words_name_backgrounds(tmp_path: Path) -> None:
    assert isinstance(background_of("blur"), Blurred)
    assert isinstance(background_of("Gray"), Greyed)
    assert background_of("white") == Plain((255, 255, 255))
    assert background_of("#0a0B0c") == background_of("0a0b0c") == Plain((10, 11, 12))
    write_image(tmp_path / "beach.png", np.full((4, 4, 3), 7, np.uint8))
    assert (background_of(str(tmp_path / "beach.png"))(image()) == 7).all()
    with pytest.raises(SegrtError, match=r"--background beach.png: must be blur, grey, a colour .* no such file$"):
        background_of("beach.png")
    with pytest.raises(SegrtError, match=r"no such file$"):
        background_of("x" * 300)
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(SegrtError, match=r"bad.png"):
        background_of(str(tmp_path / "bad.png"))
