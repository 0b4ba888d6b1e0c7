"""The overlap of class maps by class."""

import numpy as np
import pytest

from segrt.runtime.authoring.class_overlap import class_overlap
from segrt.runtime.results import InstanceResult, Label, SemanticResult

LABELS = tuple(Label(name, index, False, (0, 0, 0)) for index, name in enumerate(("background", "cat", "speck")))


def result(class_map: np.ndarray) -> SemanticResult:
    return SemanticResult(class_map.astype(np.uint8), LABELS)


def test_a_lost_class_shows_where_pixels_hide_it() -> None:
    ours = np.zeros((100, 100), int)
    ours[:5, :40] = 1
    theirs = np.zeros((100, 100), int)
    assert np.mean(ours == theirs) == pytest.approx(0.98)
    assert class_overlap([(result(ours), result(theirs))]) == pytest.approx((0.98 + 0) / 2)
    assert class_overlap([(result(ours), result(ours))]) == 1.0


def test_pictures_count_together_and_specks_do_not() -> None:
    first, second = np.zeros((100, 100), int), np.ones((100, 100), int)
    first[0, :9] = 2  # below a thousandth of both pictures' pixels
    found = np.zeros((100, 100), int)
    assert class_overlap([(result(first), result(found)), (result(second), result(second))]) == pytest.approx(
        (9991 / 10000 + 1) / 2
    )


def test_objects_have_none() -> None:
    empty = InstanceResult(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), [], (4, 4), LABELS
    )
    assert class_overlap([(empty, empty)]) is None
