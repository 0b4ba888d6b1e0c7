"""Run-length encodings are those of pycocotools, byte for byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from pycocotools import mask as peer

from segrt.runtime.results import rle

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@settings(max_examples=200, deadline=None)
@given(masks)
def test_encoding_and_decoding_are_the_peers(mask):
    expected = peer.encode(np.asfortranarray(mask.astype(np.uint8)))
    encoded = rle.encode(mask)
    assert encoded == {"size": list(mask.shape), "counts": expected["counts"]}
    np.testing.assert_array_equal(rle.decode(encoded), mask)
    assert rle.area(encoded) == mask.sum()


@pytest.mark.parametrize("fill", [0, 1])
def test_long_runs_need_several_characters(fill):
    mask = np.full((700, 900), fill, np.uint8)
    mask[300:302, 100:800] = 1 - fill
    expected = peer.encode(np.asfortranarray(mask))
    assert rle.encode(mask)["counts"] == expected["counts"]
    np.testing.assert_array_equal(rle.decode({"size": [700, 900], "counts": expected["counts"]}), mask.astype(bool))


def test_any_value_but_zero_is_inside():
    assert rle.encode(np.array([[0, 255, 7]], np.uint8)) == rle.encode(np.array([[False, True, True]]))


@pytest.mark.parametrize(
    "encoded",
    [
        {"size": [2, 2], "counts": b"3"},
        {"size": [2, 2], "counts": b"\x01"},
        {"size": [2, 2], "counts": b"P"},
        {"size": [2, 2], "counts": b"J"},
    ],
    ids=["too short", "no character of a run", "cut off", "negative run"],
)
def test_damaged_encodings_are_refused(encoded):
    with pytest.raises(ValueError, match=r"."):
        rle.decode(encoded)


def test_measures_are_areas_and_extents():
    masks = np.zeros((2, 6, 9), bool)
    masks[0, 2:4, 3:8] = True
    areas, extents = rle.measure([rle.encode(mask) for mask in masks])
    np.testing.assert_array_equal(areas, [10, 0])
    np.testing.assert_array_equal(extents, [[3, 2, 8, 4], [0, 0, 0, 0]])
