"""Overlapping objects count once when two results are compared."""

import numpy as np
import pytest

pytest.importorskip("torch")

from segrt.runtime.authoring.matched_share import mutual_quality
from segrt.runtime.results import InstanceResult, Label, rle


def test_duplicates_do_not_raise_the_quality_above_one() -> None:
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    masks = [rle.encode(mask)] * 3  # three objects of one class in one place, each of which matches all others
    boxes = np.tile(np.array([[2, 2, 6, 6]], np.float32), (3, 1))
    label = (Label("cat", 1, True, (9, 9, 9)),)
    result = InstanceResult(boxes, np.full(3, 0.9, np.float32), np.zeros(3, np.int64), masks, (8, 8), label)
    assert mutual_quality([(result, result)]) == pytest.approx(1.0)
