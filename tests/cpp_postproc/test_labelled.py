"""Merges of pixels that were labelled elsewhere: the end of `merge_queries`, on its own."""

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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_stuff_of_one_class_is_fused_and_other_labels_are_void(dtype):
    labels = LABELS.astype(dtype)
    ids, segments = postproc.merge_labelled(
        labels, kept(4, 7, 4), tallies(LABELS, 3), rule="maskformer", stuff_classes=[4]
    )
    np.testing.assert_array_equal(ids, np.array([0, 1, 2])[np.choose(LABELS, [1, 2, 1, 0])])
    assert [(s.id, s.class_id, s.area, s.bbox) for s in segments] == [(1, 4, 8, (0, 0, 3, 3)), (2, 7, 4, (3, 0, 2, 2))]


def test_a_query_that_wins_too_little_of_its_mask_becomes_void():
    found = tallies(LABELS, 4)
    found[1, 1] = 6
    ids, segments = postproc.merge_labelled(LABELS, kept(1, 2, 3, 4), found, rule="eomt", overlap_threshold=0.7)
    np.testing.assert_array_equal(ids, np.array([1, 0, 2, 3])[LABELS])
    assert [s.query for s in segments] == [10, 12, 13]


def test_detr_asks_for_another_round_until_no_segment_is_small():
    left, merged = postproc.merge_detr_labelled(LABELS, kept(1, 2, 3, 3), tallies(LABELS, 4), stuff_classes=[3])
    assert (left, merged) == ([0, 2, 3], None)
    again = np.choose(LABELS, [0, 0, 1, 2]).astype(np.uint8)
    left, merged = postproc.merge_detr_labelled(
        again, kept(1, 3, 3), tallies(again, 3), stuff_classes=[3], first_time=False
    )
    assert left == [0, 1, 2]
    assert merged is not None
    np.testing.assert_array_equal(merged[0], np.array([1, 2, 2])[again])
    assert [(s.class_id, s.area) for s in merged[1]] == [(1, 10), (3, 5)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": LABELS.astype(np.int32)}, "labels must be uint8 or uint16"),
        ({"kept": np.zeros(4, np.int32)}, "kept must be"),
        ({"tallies": np.zeros((3, 7), np.int32)}, "tallies must be int32 with shape"),
        ({"tallies": np.zeros((4, 6), np.int32)}, "tallies must be int32 with shape"),
        ({"kept": kept(*[1] * 257), "tallies": np.zeros((257, 7), np.int32)}, "labels' type is too small for 257"),
        ({"rule": "detr"}, "rule must be"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    fitting = {"labels": LABELS, "kept": kept(1, 2, 3, 4), "tallies": tallies(LABELS, 4), "rule": "maskformer"}
    arguments = fitting | change
    with pytest.raises(postproc.ArgumentError, match=message):
        postproc.merge_labelled(arguments["labels"], arguments["kept"], arguments["tallies"], rule=arguments["rule"])
