"""Masks as runs: what they share, moved or not, equals the masks' own pixels."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrt.runtime import postproc
from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import rle


def moved(mask: Any, dx: int, dy: int) -> Any:
    """The mask moved by whole pixels; what leaves the picture is lost."""
    out = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        if 0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1]:
            out[y + dy, x + dx] = True
    return out


def slow_shared(masks: Any, others: Any, shifts: Any) -> Any:
    """Shape (N, M), by counting."""
    return [[int((moved(a, *shift) & b).sum()) for b in others] for a, shift in zip(masks, shifts, strict=True)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 12), st.integers(1, 150)),
    kinds=st.tuples(*[st.sampled_from([np.uint8, np.uint16, np.int32])] * 2),
    step=st.sampled_from([1, 2, -1]),
)
def test_masks_of_maps_share_what_their_pixels_share(seed: int, size: Any, kinds: Any, step: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = size
    columns = np.repeat(rng.integers(0, 5, (height, width)), rng.integers(1, 40), axis=1)[:, :width]
    first = columns.astype(kinds[0])[:, ::step]
    second = np.where(rng.random(first.shape) < 0.1, 2, first).astype(kinds[1])
    ids, other_ids = [4, 1, 2], [2, 3]
    masks, others = [first == value for value in ids], [second == value for value in other_ids]
    shifts = rng.integers(-3, 4, (len(ids), 2))
    one, other = MaskRuns.of_map(first, ids), MaskRuns.of_map(second, other_ids)
    assert one.shared(other, shifts).tolist() == slow_shared(masks, others, shifts)
    still = postproc.count_overlaps(first, second, ids, other_ids)[1:, 1:]
    assert one.shared(other).tolist() == still.tolist()
    areas, boxes = one.measure()
    assert areas.tolist() == [int(mask.sum()) for mask in masks]
    for mask, box in zip(masks, boxes, strict=True):
        rows, places = np.nonzero(mask)
        edges = [places.min(), rows.min(), places.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 0, 0]
        assert box.tolist() == edges


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(1, 25), st.integers(1, 25)))
def test_masks_of_codes_share_what_their_pixels_share(seed: int, size: Any) -> None:
    rng = np.random.default_rng(seed)
    # Masks of one picture may overlap, be empty, or be everything.
    masks, others = (rng.random((4, *size)) < np.array([0.0, 0.3, 0.9, 1.0])[:, None, None] for _ in range(2))
    shifts = rng.integers(-4, 5, (4, 2))
    one, other = (MaskRuns.of_rles(postproc.encode_rle(stack)) for stack in (masks, others))
    assert one.shared(other, shifts).tolist() == slow_shared(masks, others, shifts)
    areas, boxes = one.measure()
    codes = postproc.encode_rle(masks)
    assert (areas == postproc.measure_rle(codes)[0]).all()
    assert (boxes == postproc.measure_rle(codes)[1]).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(1, 25), st.integers(1, 25)))
def test_codes_of_runs_are_those_of_their_union(seed: int, size: Any) -> None:
    rng = np.random.default_rng(seed)
    masks, others = (rng.random((4, *size)) < np.array([0.0, 0.3, 0.9, 1.0])[:, None, None] for _ in range(2))
    one, other = (MaskRuns.of_rles(postproc.encode_rle(stack)) for stack in (masks, others))
    assert one.codes(size) == postproc.encode_rle(masks)
    assert one.taken([2, 0]).codes(size) == postproc.encode_rle(masks[[2, 0]])
    both = [rng.permutation(np.concatenate([one.one(i).runs, other.one(i).runs])) for i in range(4)]
    assert MaskRuns.of_parts(both, by_columns=True).codes(size) == postproc.encode_rle(masks | others)
    down, right = int(rng.integers(5)), int(rng.integers(5))
    placed = np.pad(masks, ((0, 0), (down, 2), (right, 1)))
    larger = (size[0] + down + 2, size[1] + right + 1)
    assert one.moved(right, down).codes(larger) == postproc.encode_rle(placed)


def test_a_mask_is_cut_out_of_the_picture_by_its_extent() -> None:
    ids = np.random.default_rng(2).integers(0, 4, (9, 14)).astype(np.uint8)
    ids[:3] = ids[:, :5] = 0
    codes = [rle.encode(ids == number) for number in (1, 2, 3)]
    for masks in (MaskRuns.of_map(ids, (1, 2, 3)), MaskRuns.of_rles(codes)):
        for index, (left, top, right, bottom) in enumerate(masks.measure()[1].tolist()):
            expected = (ids == index + 1)[top:bottom, left:right]
            np.testing.assert_array_equal(masks.cut(index, (left, top, right, bottom)), expected)


def test_codes_of_rows_and_of_what_leaves_the_picture_are_refused() -> None:
    whole = MaskRuns.of_rles(postproc.encode_rle(np.ones((1, 4, 6), bool)))
    with pytest.raises(postproc.ArgumentError, match="inside 4 x 6, but one covers 1 to 5 of column 0"):
        whole.moved(0, 1).codes((4, 6))
    with pytest.raises(postproc.ArgumentError, match="inside 4 x 6, but one covers 0 to 4 of column -2"):
        whole.moved(-2, 0).codes((4, 6))
    with pytest.raises(postproc.ArgumentError, match="must be columns"):
        MaskRuns.of_map(np.ones((4, 6), np.uint8), [1]).codes((4, 6))


def test_masks_joined_and_taken_one_by_one_are_the_same() -> None:
    ids = np.random.default_rng(1).integers(0, 6, (20, 30)).astype(np.int32)
    whole = MaskRuns.of_map(ids, [5, 3, 9, 1])
    again = MaskRuns.of_parts([whole.one(index).runs for index in range(4)], by_columns=False)
    assert (again.runs == whole.runs).all()
    assert (again.starts == whole.starts).all()
    assert len(MaskRuns.of_parts([], by_columns=True)) == len(MaskRuns.of_rles([])) == 0
    assert MaskRuns.of_map(ids, []).shared(whole).shape == (0, 4)
    far = np.full((4, 2), np.iinfo(np.int64).max)
    assert not whole.shared(whole, far).any()


def test_masks_of_two_sets_are_taken_in_any_order() -> None:
    ids = np.random.default_rng(2).integers(0, 4, (9, 30)).astype(np.uint8)
    first, second = MaskRuns.of_map(ids, [1, 9]), MaskRuns.of_map(ids, [3, 2])
    taken = first.taken([3, 0, 1, 0], second)
    expected = MaskRuns.of_parts(
        [second.one(1).runs, first.one(0).runs, first.one(1).runs, first.one(0).runs], by_columns=False
    )
    assert (taken.runs == expected.runs).all()
    assert (taken.starts == expected.starts).all()
    assert len(MaskRuns.none().taken([])) == 0
    for place in (-1, 4):
        with pytest.raises(postproc.ArgumentError, match=f"0 to 4 exclusive, but one is {place}"):
            first.taken([place], second)
    with pytest.raises(postproc.ArgumentError, match="same lines"):
        first.taken([0], MaskRuns.none(by_columns=True))


def test_what_is_no_set_of_masks_is_refused() -> None:
    ids = np.zeros((4, 5), np.int32)
    masks = MaskRuns.of_map(ids, [0])
    with pytest.raises(postproc.ArgumentError, match=r"ids_map must be uint8, uint16 or int32 .* float64 \(4, 5\)"):
        MaskRuns.of_map(ids.astype(float), [0])
    with pytest.raises(postproc.ArgumentError, match="id 7 is listed twice"):
        MaskRuns.of_map(ids, [7, 7])
    with pytest.raises(postproc.ArgumentError, match="same lines"):
        masks.shared(MaskRuns.none(by_columns=True))
    with pytest.raises(postproc.ArgumentError, match=r"shifts must be integers with shape \(1, 2\), got float64"):
        masks.shared(masks, np.zeros((1, 2)))
    with pytest.raises(postproc.ArgumentError, match="starts from 0 up to the number of its runs"):
        MaskRuns(masks.runs, np.array([0, 99], np.int64)).measure()
    with pytest.raises(postproc.ArgumentError, match="first must be of runs int32"):
        MaskRuns(masks.runs.astype(np.int64), masks.starts).shared(masks)  # type: ignore[arg-type]
