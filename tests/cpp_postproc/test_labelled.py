"""Segments from what was counted elsewhere: the end of `merge_queries`, on its own."""

import numpy as np
import pytest

from segrt.runtime import postproc

LABELS = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [2, 2, 3, 3, 3]], np.uint8)
NO_PIXELS = [0, 0, 0, 2**31 - 1, 2**31 - 1, -1, -1]


def kept(*classes):
    return np.array([(10 + k, c, 0.9 - k / 8) for k, c in enumerate(classes)], postproc.KEPT)


def tallies(labels, count, claims=1.0):
    """Return what labelling finds out, each query claiming its pixels and more where `claims` is above 1."""
    rows = []
    for k in range(count):
        y, x = np.nonzero(labels == k)
        box = [x.min(), y.min(), x.max(), y.max()] if len(x) else NO_PIXELS[3:]
        rows.append([len(x), int(len(x) * claims), len(x), *box])
    return np.array(rows, np.int32)


def test_stuff_of_one_class_is_fused():
    segments = postproc.choose_segments(kept(4, 7, 4), tallies(LABELS, 3), rule="maskformer", stuff_classes=[4])
    assert [(s.id, s.class_id, s.area, s.bbox) for s in segments] == [(1, 4, 8, (0, 0, 3, 3)), (2, 7, 4, (3, 0, 2, 2))]


def test_a_query_that_wins_too_little_of_its_mask_is_no_segment():
    found = tallies(LABELS, 4)
    found[1, 1] = 6
    segments = postproc.choose_segments(kept(1, 2, 3, 4), found, rule="eomt", overlap_threshold=0.7)
    assert [(s.id, s.query) for s in segments] == [(1, 10), (2, 12), (3, 13)]


def test_detr_asks_for_another_round_until_no_segment_is_small():
    left, segments = postproc.choose_detr_segments(kept(1, 2, 3, 3), tallies(LABELS, 4), stuff_classes=[3])
    assert (left, segments) == ([0, 2, 3], None)
    again = np.choose(LABELS, [0, 0, 1, 2]).astype(np.uint8)
    left, segments = postproc.choose_detr_segments(
        kept(1, 3, 3), tallies(again, 3), stuff_classes=[3], first_time=False
    )
    assert left == [0, 1, 2]
    assert segments is not None
    assert [(s.class_id, s.area) for s in segments] == [(1, 10), (3, 5)]


def test_detr_with_compat_drops_the_stuff_that_was_united_and_unites_none_later():
    labels = np.repeat(np.arange(3, dtype=np.uint8), 8).reshape(4, 6)
    left, segments = postproc.choose_detr_segments(kept(3, 3, 3), tallies(labels, 3), stuff_classes=[3], compat=True)
    assert (left, segments) == ([0], None)
    _, segments = postproc.choose_detr_segments(
        kept(3, 3, 3), tallies(labels, 3), stuff_classes=[3], compat=True, first_time=False
    )
    assert [(s.class_id, s.area) for s in segments] == [(3, 8)] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept": np.zeros(4, np.int32)}, "kept must be"),
        ({"tallies": np.zeros((3, 7), np.int32)}, "tallies must be int32 with shape"),
        ({"tallies": np.zeros((4, 6), np.int32)}, "tallies must be int32 with shape"),
        ({"rule": "detr"}, "rule must be"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"kept": kept(1, 2, 3, 4), "tallies": tallies(LABELS, 4), "rule": "maskformer"} | change
    with pytest.raises(postproc.ArgumentError, match=message):
        postproc.choose_segments(arguments["kept"], arguments["tallies"], rule=arguments["rule"])
