"""The code of an id in a map is that of its mask, whatever is said of where it lies."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrt.runtime.results import rle


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_a_code_is_that_of_the_mask(seed: int, size: Any) -> None:
    ids = np.random.default_rng(seed).choice(np.array([0, 1, 1, 1, 7], np.uint8), size)
    for value in (1, 7, 9):
        rows, columns = np.nonzero(ids == value)
        box = (0, 0, 0, 0)
        if len(rows):
            top, left = int(rows.min()), int(columns.min())
            box = (left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
        assert rle.encode_id(ids, value, box, len(rows)) == rle.encode(ids == value)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (-3, 0, 2, 3), (0, -3, 4, 2), (90, 90, 2, 2), (0, 0, 0, 0)])
def test_a_wrong_box_costs_time_alone(box: tuple[int, int, int, int]) -> None:
    ids = np.zeros((5, 6), np.int32)
    ids[1:3, 1:4] = 4
    assert rle.encode_id(ids, 4, box, 6) == rle.encode(ids == 4)
