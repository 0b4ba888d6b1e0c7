"""Detectron2's drawing: its colours, names, percentages and places, pixel by pixel where that can be said."""

import cv2
import numpy as np
import pytest

from segrt.runtime import draw
from segrt.runtime.draw import detectron2
from segrt.runtime.draw.detectron2 import jittered, plain_name
from segrt.runtime.draw.text import boxed
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle

LABELS = (
    Label("tree-merged", 1, False, (100, 160, 40)),
    Label("wall-other-merged", 2, False, (50, 60, 200)),
    Label("person", 3, True, (200, 60, 80)),
)
SIZE = (120, 160)


def panoptic() -> PanopticResult:
    """Trees at the left with a loose part of 12 pixels at the right, a wall, two persons."""
    ids = np.full(SIZE, 2, np.int32)
    ids[:, :60] = 1
    ids[5:8, 150:154] = 1
    ids[20:80, 80:110] = 3
    ids[90:100, 20:30] = 4
    segments = []
    for value, class_id in ((1, 0), (2, 1), (3, 2), (4, 2)):
        rows, columns = np.nonzero(ids == value)
        box = (int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
        segments.append(Segment(value, class_id, LABELS[class_id].isthing, 0.984, len(rows), box))
    return PanopticResult(ids, segments, LABELS)


def picture() -> np.ndarray:
    return np.full((*SIZE, 3), 100, np.uint8)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, float]]:
    """What is written and where."""
    texts: list[tuple[str, float, float]] = []
    usual = detectron2._Page.write

    def write(page, text, x, y, color, **options):
        texts.append((text, x, y))
        usual(page, text, x, y, color, **options)

    monkeypatch.setattr(detectron2._Page, "write", write)
    return texts


def test_names_lose_what_coco_adds() -> None:
    assert [plain_name(label.name) for label in LABELS] == ["tree", "wall", "person"]


def test_every_segment_is_labelled_where_detectron2_does(written) -> None:
    draw.overlay(picture(), panoptic(), style="detectron2")
    assert [text for text, _, _ in written] == ["tree", "wall", "person 98%", "person 98%"]
    # Stuff and large things at the median of their pixels, a small one below its box.
    assert written[2][1:] == (94.5, 49.5)
    assert written[3][1:] == (20, 100)
    assert written[0][1] < 60


def test_fill_has_alpha_07_and_edges_are_off_white_or_the_things_own() -> None:
    drawn = draw.overlay(picture(), panoptic(), style="detectron2", captions=False)
    tree = np.rint(100 * 0.3 + np.array([40, 160, 100]) * 0.7)
    np.testing.assert_array_equal(drawn[60, 10], tree)
    assert drawn[60, 0].tolist() == [240, 255, 255]
    color = jittered(LABELS[2].color, 2, 0)
    np.testing.assert_array_equal(drawn[50, 95], np.rint(100 * 0.3 + np.array(color[::-1]) * 0.7))
    assert drawn[20, 95].tolist() == list(color[::-1])


def test_parts_below_the_threshold_are_left_out_and_the_rest_is_drawn(written) -> None:
    shown = draw.overlay(picture(), panoptic(), style="detectron2", captions=False)
    without = draw.overlay(picture(), panoptic(), style="detectron2", captions=False, area_threshold=13)
    assert (shown[6, 152] != without[6, 152]).any()
    assert without[6, 151].tolist() == [100, 100, 100]
    np.testing.assert_array_equal(shown[60:], without[60:])
    written.clear()
    draw.overlay(picture(), panoptic(), style="detectron2", area_threshold=SIZE[0] * SIZE[1])
    assert [text for text, _, _ in written] == ["person 98%", "person 98%"]


def test_instances_are_jittered_beside_their_class_and_always_alike() -> None:
    colors = [jittered((200, 60, 80), 2, number) for number in range(20)]
    assert len(set(colors)) == 20
    assert colors == [jittered((200, 60, 80), 2, number) for number in range(20)]
    for color in colors:
        moved = np.array(color) - (200, 60, 80)
        assert (moved >= 0).all()  # np.random.rand is never negative
        assert np.linalg.norm(moved / 255) <= 0.505
    assert min(np.linalg.norm((np.array(color) - (200, 60, 80)) / 255) for color in colors) > 0.15
    assert jittered((200, 60, 80), 3, 0) != colors[0]


def test_instances_have_boxes_and_alpha_05(written) -> None:
    found = panoptic()
    result = InstanceResult(
        boxes=np.array([[80, 20, 110, 80]], np.float32),
        scores=np.array([0.507], np.float32),
        class_ids=np.array([2]),
        rles=[rle.encode(found.segment_ids == 3)],
        size=SIZE,
        labels=LABELS,
    )
    drawn = draw.overlay(picture(), result, style="detectron2", captions=False)
    color = np.array(jittered(LABELS[2].color, 2, 0)[::-1])
    np.testing.assert_array_equal(drawn[50, 95], np.rint(50 + color * 0.5))
    assert drawn[100, 10].tolist() == [100, 100, 100]
    np.testing.assert_allclose(drawn[18, 95], 50 + color * 0.5, atol=1)  # the box's line reaches outside
    draw.overlay(picture(), result, style="detectron2")
    assert written[0] == ("person 51%", 80.0, 20.0)
    written.clear()
    draw.overlay(picture(), result, style="detectron2", scores=False)
    assert written[0][0] == "person"


def test_class_maps_are_drawn_largest_first_at_alpha_08(written) -> None:
    class_map = np.where(panoptic().segment_ids == 1, 0, 1).astype(np.uint8)
    class_map[:3] = 255
    drawn = draw.overlay(picture(), SemanticResult(class_map, LABELS), style="detectron2", captions=False)
    np.testing.assert_array_equal(drawn[60, 130], np.rint(20 + np.array([200, 60, 50]) * 0.8))
    assert drawn[1, 30].tolist() == [100, 100, 100]
    assert [text for text, _, _ in written] == ["wall", "tree"]


def test_labels_stand_on_black_boxes_that_let_a_fifth_through() -> None:
    flat = SemanticResult(np.zeros(SIZE, np.uint8), (Label("x", 1, False, (0, 0, 0)),))
    plain = draw.overlay(picture(), flat, style="detectron2", captions=False)
    drawn = draw.overlay(picture(), flat, style="detectron2")
    changed = np.argwhere((plain != drawn).any(-1))
    top, left = changed.min(0)
    assert top == round(np.median(np.arange(SIZE[0])))
    np.testing.assert_allclose(drawn[top, left], plain[top, left] * 0.2, atol=1)


def test_masks_are_drawn_within_their_extents_as_on_the_whole_picture() -> None:
    found, drawn = panoptic(), draw.overlay(picture(), panoptic(), style="detectron2", captions=False)
    expected = draw.overlay(picture(), panoptic().filter(classes=[0, 1]), style="detectron2", captions=False)
    for number, value in enumerate((3, 4)):
        mask = (found.segment_ids == value).view(np.uint8)
        color = jittered(LABELS[2].color, 2, number)[::-1]
        expected[mask > 0] = np.rint(expected[mask > 0] * (1 - 0.7) + np.array(color) * 0.7)
        outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(expected, outlines, -1, color, 1)
    np.testing.assert_array_equal(drawn, expected)


def test_boxes_may_lie_anywhere_and_upside_down() -> None:
    mask = panoptic().segment_ids == 3
    for box in ((150, 100, 220, 190), (-30, -20, 20, 10), (400, 400, 420, 420), (90, 60, 30, 20)):
        found = InstanceResult(
            np.array([box], np.float32), np.array([0.5], np.float32), np.array([2]), [rle.encode(mask)], SIZE, LABELS
        )
        drawn = draw.overlay(picture(), found, style="detectron2", captions=False)
        whole = picture()
        cv2.rectangle(whole, box[:2], (box[2] - 1, box[3] - 1), jittered(LABELS[2].color, 2, 0)[::-1], 3)
        framed = cv2.addWeighted(whole, 0.5, picture(), 0.5, 0)
        far = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) == 0
        np.testing.assert_array_equal(drawn[far], framed[far])


def test_a_labels_last_word_is_drawn_once_for_all_names() -> None:
    first, other = boxed("person 7 98%", 14, (9, 9, 200)), boxed("traffic light 98%", 14, (9, 9, 200))
    assert first.parts[1] is other.parts[1]
    assert first.parts[0] is boxed("person 7 97%", 14, (9, 9, 200)).parts[0]
    assert first.parts[0].size[0] == first.parts[1].size[0]
    assert len(boxed("sky", 14, (9, 9, 200)).parts) == 1


def test_no_style_is_the_picture_and_others_are_refused() -> None:
    drawn = draw.overlay(picture(), panoptic(), style="none")
    np.testing.assert_array_equal(drawn, picture())
    with pytest.raises(ValueError, match="style must be one of segrt, detectron2, none, but got 'fancy'"):
        draw.overlay(picture(), panoptic(), style="fancy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="area_threshold must be 0 or more"):
        draw.overlay(picture(), panoptic(), style="detectron2", area_threshold=-1)
    with pytest.raises(ValueError, match="alpha must be 0 to 1"):
        draw.overlay(picture(), panoptic(), style="detectron2", alpha=1.5)
