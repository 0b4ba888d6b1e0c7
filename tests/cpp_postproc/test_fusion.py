"""Panoptic maps from class maps: with instance masks, and with centres and offsets."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_boxes, slow_centers, slow_fusion

from segrt.runtime import postproc


def check_segments(ids: Any, segments: list[postproc.MergedSegment]) -> None:
    assert [s.id for s in segments] == list(range(1, len(segments) + 1))
    for segment in segments:
        mask = ids == segment.id
        assert mask.sum() == segment.area
        if segment.area:
            assert slow_boxes.box_of(mask) == segment.bbox


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 60), st.integers(1, 240)),
    count=st.integers(0, 12),
    kind=st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]),
    threads=st.integers(1, 3),
)
def test_instance_merge_equals_detectron2s_arithmetic(
    seed: int, size: Any, count: int, kind: Any, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    semantic = np.kron(rng.integers(0, 5, (4, 4)), np.ones((20, 60)))[: size[0], : size[1]].astype(kind)
    size = semantic.shape
    ys, xs = np.mgrid[: size[0], : size[1]]
    centre = rng.uniform(0, 1, (count, 2, 1, 1)) * np.array(size)[:, None, None]
    masks = np.hypot(ys - centre[:, 0], xs - centre[:, 1]) < rng.uniform(0, 25, (count, 1, 1))
    scores = np.round(rng.uniform(size=count), 1).astype(np.float32)
    expected, painted = slow_fusion.merge_semantic_instances(semantic, masks, scores, stuff_area_limit=60)
    classes = rng.integers(0, 9, count)
    ids, segments = postproc.merge_semantic_instances(
        semantic, masks, scores, classes, stuff_area_limit=60, threads=threads
    )
    assert np.array_equal(ids, expected)
    check_segments(ids, segments)
    assert [s.query for s in segments if s.query >= 0] == painted
    of_codes, same = postproc.merge_semantic_instances(
        semantic, postproc.encode_rle(masks), scores, classes, stuff_area_limit=60, threads=threads
    )
    assert np.array_equal(of_codes, ids)
    assert same == segments


def test_codes_of_another_size_are_refused() -> None:
    codes = postproc.encode_rle(np.ones((1, 5, 6), np.bool_))
    with pytest.raises(postproc.ArgumentError, match=r"masks must have size \[6, 6\] as semantic, got \[5, 6\]"):
        postproc.merge_semantic_instances(np.zeros((6, 6), np.uint8), codes, [0.9], [1])
    short = postproc.Rle(size=[6, 6], counts=codes[0]["counts"])
    with pytest.raises(postproc.ArgumentError, match="pixels"):
        postproc.merge_semantic_instances(np.zeros((6, 6), np.uint8), [short], [0.9], [1])


def test_instance_merge_takes_nan_scores_for_low_ones() -> None:
    masks = np.ones((2, 6, 6), np.bool_)
    ids, segments = postproc.merge_semantic_instances(np.zeros((6, 6), np.uint8), masks, [np.nan, 0.6], [1, 2])
    assert [s.query for s in segments] == [1]
    assert (ids == 1).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 50), st.integers(1, 70)),
    kernel=st.sampled_from([1, 3, 7]),
    top_k=st.sampled_from([1, 4, 200]),
    plateaus=st.booleans(),
    threads=st.integers(1, 3),
)
def test_grouping_equals_panoptic_deeplabs_arithmetic(
    seed: int, size: Any, kernel: int, top_k: int, plateaus: bool, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    semantic = np.kron(rng.integers(0, 6, (5, 5)), np.ones((12, 15), int))[: size[0], : size[1]].astype(np.int32)
    size = semantic.shape
    heat = (rng.uniform(size=size) ** 3).astype(np.float32)
    if plateaus:
        heat = np.round(heat * 4) / 4
    offsets = (rng.normal(size=(2, *size)) * 6).astype(np.float32)
    options: Any = {
        "thing_classes": (1, 4),
        "nms_kernel": kernel,
        "top_k": top_k,
        "stuff_area_limit": 40,
        "threshold": 0.2,
    }
    expected, classes = slow_centers.group_centers(semantic, heat, offsets, **options)
    ids, segments = postproc.group_centers(semantic, heat, offsets, threads=threads, **options)
    assert np.array_equal(ids, expected)
    assert [s.class_id for s in segments] == classes
    check_segments(ids, segments)


def test_grouping_without_centres_leaves_things_void() -> None:
    semantic = np.array([[0, 1], [1, 0]], np.uint8)
    nothing = np.zeros((1, 2, 2), np.float32)
    ids, segments = postproc.group_centers(
        semantic, nothing, np.zeros((2, 2, 2), np.float32), thing_classes=[1], stuff_area_limit=1
    )
    assert ids.tolist() == [[1, 0], [0, 1]]
    assert [(s.class_id, s.query) for s in segments] == [(0, -1)]


def test_grouping_counts_values_that_are_not_finite() -> None:
    heat = np.full((1, 4, 4), np.nan, np.float32)
    offsets = np.zeros((2, 4, 4), np.float32)
    offsets[0, 0, 0] = np.inf
    report = postproc.Report()
    postproc.group_centers(np.zeros((4, 4), np.uint8), heat, offsets, thing_classes=[0], report=report)
    assert report.nonfinite == 17


@pytest.mark.parametrize("bad", [-1, 70000])
def test_class_ids_that_do_not_fit_are_refused(bad: int) -> None:
    semantic = np.full((4, 4), bad, np.int64)
    with pytest.raises(ValueError, match="class ids from 0 to 65535"):
        postproc.merge_semantic_instances(semantic, np.zeros((0, 4, 4), np.bool_), [], [])
