"""The C++ counting equals numpy's unique pairs, for every dtype, stride and kind of id."""

import numpy as np
import pytest

from segrt.runtime import postproc
from segrt.runtime.results.coco_format import id2rgb


def patches(rng, ids, height=37, width=53):
    """A map of patches and single pixels."""
    coarse = np.repeat(np.repeat(rng.choice(ids, (8, 7)), 5, 0), 8, 1)[:height, :width]
    return np.where(rng.random((height, width)) < 0.03, rng.choice(ids, (height, width)), coarse)


def expected(first, second, first_ids, second_ids):
    counts = np.zeros((len(first_ids) + 1, len(second_ids) + 1), np.int64)
    rows = {value: index for index, value in enumerate(first_ids, start=1)}
    columns = {value: index for index, value in enumerate(second_ids, start=1)}
    for a, b in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True):
        counts[rows.get(a, 0), columns.get(b, 0)] += 1
    return counts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_overlaps_are_the_counted_pairs(seed, dtype):
    rng = np.random.default_rng(seed)
    highest = min(np.iinfo(dtype).max, 1 << 24)
    ids = rng.choice(highest, 9, replace=False).tolist()
    first, second = patches(rng, ids).astype(dtype), patches(rng, ids).astype(np.int32)
    # Not all ids are listed, one is listed that no pixel has, and the lists are not sorted.
    some = [*ids[6:1:-1], highest]
    found = postproc.count_overlaps(first, second, some, ids)
    assert (found == expected(first, second, some, ids)).all()
    assert found.sum() == first.size
    assert (postproc.count_ids(first, some) == found.sum(axis=1)).all()


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 17, 64])
def test_every_width_is_counted_whole(width):
    rng = np.random.default_rng(width)
    first, second = (rng.integers(0, 3, (5, width)).astype(np.int32) for _ in range(2))
    assert (postproc.count_overlaps(first, second, [1, 2], [0, 1]) == expected(first, second, [1, 2], [0, 1])).all()


def test_views_are_counted_in_place():
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 4, (40, 60)).astype(np.uint16)
    for view in (whole[::2, ::3], whole.T, whole[::-1, ::-1], whole[3:20, 5:]):
        same = np.ascontiguousarray(view).astype(np.int32)
        assert (postproc.count_overlaps(view, same, [1, 3], [1, 2]) == expected(same, same, [1, 3], [1, 2])).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_counted_as_their_ids(channels):
    rng = np.random.default_rng(2)
    ids = patches(rng, [0, 255, 256, 65535, 65536, (1 << 24) - 1]).astype(np.int32)
    picture = np.full((*ids.shape, channels), 77, np.uint8)
    picture[..., :3] = id2rgb(ids)[..., ::-1]
    assert (postproc.ids_of_colors(picture) == ids).all()
    known = [65536, 0, 255]
    assert (postproc.count_overlaps(picture, ids, known, known) == expected(ids, ids, known, known)).all()
    assert (postproc.count_ids(picture[:, 5:], known) == postproc.count_ids(ids[:, 5:], known)).all()


def test_what_cannot_be_counted_is_named():
    ids = np.zeros((4, 5), np.int32)
    with pytest.raises(postproc.ArgumentError, match=r"second must have first's \(H, W\) \(4, 5\), got \(5, 4\)"):
        postproc.count_overlaps(ids, ids.T, [1], [1])
    with pytest.raises(postproc.ArgumentError, match=r"first must be uint8, uint16 or int32.*float64 \(4, 5\)"):
        postproc.count_overlaps(ids.astype(float), ids, [1], [1])
    with pytest.raises(postproc.ArgumentError, match="id 7 is listed twice"):
        postproc.count_overlaps(ids, ids, [7, 7], [1])
    with pytest.raises(postproc.ArgumentError, match="image must be uint8"):
        postproc.ids_of_colors(ids)
