"""Comparisons and query grids: what stands where on the page."""

import numpy as np
import pytest

from segrt.runtime import draw
from segrt.runtime.draw import queries
from segrt.runtime.draw.panels import wrapped
from segrt.runtime.draw.text import text_width
from segrt.runtime.results import Label

LABELS = (Label("car", 3, True, (40, 110, 240)), Label("person", 1, True, (230, 60, 80)))
MARK = (12, 240, 66)


def marked(height, width):
    return np.full((height, width, 3), MARK, np.uint8)


def panels_found(page):
    """The connected rectangles of the marking colour as (left, top, width, height), in reading order."""
    import cv2

    mask = (np.abs(page.astype(int) - np.array(MARK)).sum(axis=2) < 12).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    found = [tuple(int(v) for v in stats[index, :4]) for index in range(1, count) if stats[index, 4] > 500]
    return sorted(found, key=lambda box: (box[1] // 20, box[0]))


@pytest.mark.parametrize(
    ("size", "count", "rows"),
    [((240, 320), 4, 2), ((320, 200), 4, 1), ((240, 320), 3, 1), ((240, 320), 1, 1), ((240, 320), 6, 2)],
)
def test_cards_stand_in_rows_that_suit_the_pictures(size, count, rows):
    page = draw.side_by_side([(f"panel {index}", marked(*size), ["one", "two"]) for index in range(count)], 1200)
    assert page.shape[1] == 1200
    boxes = panels_found(page)
    assert len(boxes) == count
    assert len({top for _, top, _, _ in boxes}) == rows
    for _, _, width, height in boxes:
        assert width / height == pytest.approx(size[1] / size[0], rel=0.03)


def test_title_stands_above_and_captions_below_the_picture():
    bare = draw.side_by_side([("", marked(100, 200), ["", ""])], 600)
    full = draw.side_by_side([("Panoptic", marked(100, 200), ["22.9 ms per frame", "PQ 0.86"])], 600)
    assert bare.shape == full.shape
    ((_, top, _, height),) = panels_found(full)
    rows = np.flatnonzero((bare != full).any(axis=(1, 2)))
    assert (rows < top).any()
    assert (rows >= top + height).any()
    assert not ((rows >= top) & (rows < top + height)).any()


def test_pictures_of_different_size_share_a_page():
    page = draw.side_by_side([("a", marked(50, 100), []), ("b", marked(400, 300), ["caption"])], 800)
    (first, second) = panels_found(page)
    assert first[2] == pytest.approx(second[2], abs=2)


def test_a_long_title_takes_further_lines_and_loses_no_letter():
    short = draw.side_by_side([("x", marked(50, 100), ["y"])] * 2, 500)
    title, caption = "a model of a rather long name " * 2 + "x" * 60, "mIoU 0.8123, boundary IoU 0.6514 " + "y" * 90
    page = draw.side_by_side([(title, marked(50, 100), [caption])] * 2, 500)
    assert page.shape[0] > short.shape[0] + 60
    assert page.shape[1] == 500
    assert [box[2:] for box in panels_found(page)] == [box[2:] for box in panels_found(short)]
    edges = [*range(6), *range(494, 500)]
    np.testing.assert_array_equal(page[:40, edges], short[:40, edges])
    for text in (title, caption, "", "mIoU 0.8123", "x" * 500):
        for width in (60, 150, 5000):
            lines = wrapped(text, 14, width)
            assert "".join(lines).replace(" ", "") == text.replace(" ", "")
            assert all(text_width(line, 14) <= width for line in lines)
    assert wrapped("mIoU 0.8123", 14, 5000) == ["mIoU 0.8123"]
    assert wrapped("mIoU 0.8123", 14, 60) == ["mIoU", "0.8123"]


def test_wrong_pages_are_refused():
    with pytest.raises(ValueError, match="at least one panel"):
        draw.side_by_side([])
    with pytest.raises(ValueError, match="at least 200 pixels, but got 10"):
        draw.side_by_side([("a", marked(5, 5), [])], 10)


def test_fit_reduces_and_never_enlarges():
    assert draw.fit(marked(100, 400), 200).shape == (50, 200, 3)
    assert draw.fit(marked(100, 400), 400).shape == (100, 400, 3)
    assert draw.fit(marked(1, 4000), 100).shape == (1, 100, 3)
    with pytest.raises(ValueError, match="max_side"):
        draw.fit(marked(5, 5), 0)


def heads():
    """Four queries: a sure car at the left, a likely person at the right, an unsure car, and no object."""
    class_logits = np.array([[8, 0, 0], [0, 3, 0], [0.4, 0, 0.3], [0, 0, 9]], np.float32)
    mask_logits = np.full((4, 30, 40), -12, np.float32)
    mask_logits[0, :, :20] = 12
    mask_logits[1, :, 20:] = 12
    return class_logits, mask_logits


def test_a_query_grid_has_one_panel_per_kept_query():
    image = marked(240, 320)
    one = draw.query_grid(image, *heads(), LABELS, score_threshold=0.95)
    two = draw.query_grid(image, *heads(), LABELS, score_threshold=0.5)
    three = draw.query_grid(image, *heads(), LABELS, score_threshold=0.3)
    none = draw.query_grid(image, *heads(), LABELS, score_threshold=0.9999)
    assert len(bright_blocks(one)) == 1
    assert len(bright_blocks(two)) == 2
    assert three.shape[0] > two.shape[0]
    assert none.shape[1] == 1800


def test_a_query_grid_shows_all_or_says_how_many_are_left_out(monkeypatch):
    shown = []
    monkeypatch.setattr(queries, "side_by_side", lambda panels, *_, **__: shown.append(panels) or np.zeros((1, 1, 3)))
    class_logits = np.tile(np.array([[9, 0, 0]], np.float32), (40, 1))
    masks = np.zeros((40, 3, 4), np.float32)
    draw.query_grid(marked(60, 80), class_logits, masks, LABELS)
    draw.query_grid(marked(60, 80), class_logits, masks, LABELS, max_queries=24)
    assert [len(panels) for panels in shown] == [40, 24]
    assert [lines for _, _, lines in shown[0]] == [[]] * 40
    assert [lines for _, _, lines in shown[1]] == [[]] * 23 + [["16 more are kept and not shown"]]
    with pytest.raises(ValueError, match="max_queries must be 1 or more, or None, but got 0"):
        draw.query_grid(marked(60, 80), class_logits, masks, LABELS, max_queries=0)


def bright_blocks(page):
    import cv2

    # Lit parts keep most of the marking green; the dark parts and the white page do not.
    green = page[..., 1].astype(int) - page[..., [0, 2]].astype(int).max(axis=2) > 60
    count, _, stats, _ = cv2.connectedComponentsWithStats(green.astype(np.uint8))
    return sorted(tuple(int(v) for v in stats[index, :2]) for index in range(1, count) if stats[index, 4] > 2000)


def test_a_query_grid_lights_the_side_where_the_mask_is():
    page = draw.query_grid(marked(240, 320), *heads(), LABELS, score_threshold=0.5, width=1000)
    (first, second) = bright_blocks(page)
    half = page.shape[1] / 2
    assert first[0] < half * 0.25
    assert second[0] > half * 1.35


def test_a_window_takes_only_its_part_of_the_mask():
    class_logits, mask_logits = heads()
    lit = draw.query_grid(
        marked(240, 160), class_logits, mask_logits, LABELS, score_threshold=0.99, window=(0.0, 0.0, 30.0, 20.0)
    )
    whole = draw.query_grid(marked(240, 160), class_logits, mask_logits, LABELS, score_threshold=0.99)
    green = [int((page[..., 1].astype(int) - page[..., 2] > 60).sum()) for page in (lit, whole)]
    assert green[0] == pytest.approx(2 * green[1], rel=0.1)


def test_half_precision_heads_are_drawn_like_single_precision():
    class_logits, mask_logits = heads()
    full = draw.query_grid(marked(60, 80), class_logits, mask_logits, LABELS)
    half = draw.query_grid(marked(60, 80), class_logits.astype(np.float16), mask_logits.astype(np.float16), LABELS)
    assert np.abs(full.astype(int) - half).max() <= 2


def test_wrong_heads_are_named():
    class_logits, mask_logits = heads()
    with pytest.raises(ValueError, match=r"class_logits must have shape \(Q, 3\), but got \(4, 2\)"):
        draw.query_grid(marked(5, 5), class_logits[:, :2], mask_logits, LABELS)
    with pytest.raises(ValueError, match=r"mask_logits must have shape \(4, h, w\)"):
        draw.query_grid(marked(5, 5), class_logits, mask_logits[:2], LABELS)
