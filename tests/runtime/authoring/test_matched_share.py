"""What stands side by side in a table of parity says one thing: agreement, matched share and quality."""

from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("torch")

from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.authoring.matched_share import count_objects, matched_share, mutual_quality
from segrt.runtime.results import InstanceResult, Label, rle

LABELS = (Label("cat", 1, True, (9, 9, 9)), Label("dog", 2, True, (8, 8, 8)))


def square(top: int, left: int, side: int = 4) -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def objects(masks: Sequence[np.ndarray], scores: Sequence[float], class_ids: Sequence[int]) -> InstanceResult:
    boxes = np.tile(np.array([[2, 2, 6, 6]], np.float32), (len(masks), 1))
    codes = [rle.encode(mask) for mask in masks]
    return InstanceResult(boxes, np.array(scores, np.float32), np.array(class_ids), codes, (8, 8), LABELS)


def test_duplicates_do_not_raise_the_quality_above_one() -> None:
    result = objects([square(2, 2)] * 3, [0.9] * 3, [0] * 3)  # each matches all others
    assert mutual_quality([(result, result)]) == pytest.approx(1.0)


def test_the_same_objects_are_all_matched_however_empty_their_masks() -> None:
    empty = square(0, 0, 0)
    result = objects([square(0, 0), empty, empty, square(4, 4)], [0.9, 0.8, 0.7, 0.6], [0, 0, 1, 1])
    assert agreement(result, result) == 1.0
    assert matched_share([(result, result)]) == 1.0
    assert mutual_quality([(result, result)]) == pytest.approx(1.0)


def test_an_empty_mask_does_not_stand_for_another_object() -> None:
    ours, theirs = objects([square(0, 0, 0)], [0.9], [0]), objects([square(0, 0)], [0.9], [0])
    assert agreement(ours, theirs) == 0.0
    assert matched_share([(ours, theirs)]) == 0.0
    other = objects([square(0, 0, 0)], [0.9], [1])
    assert matched_share([(ours, other)]) == agreement(ours, other) == 0.0


def test_a_score_that_falls_to_either_side_of_the_threshold_loses_no_object() -> None:
    masks = [square(0, 0), square(4, 4)]
    ours, theirs = objects(masks, [0.9, 0.501], [0, 1]), objects(masks, [0.9, 0.499], [0, 1])
    assert agreement(ours, theirs) == 1.0
    assert matched_share([(ours, theirs)]) == 1.0
    assert mutual_quality([(ours, theirs)]) == pytest.approx(1.0)
    assert (count_objects(ours), count_objects(theirs)) == (2, 1)
    unsure = objects(masks, [0.9, 0.2], [0, 1])
    assert agreement(ours, unsure) == pytest.approx(2 / 3)
    assert matched_share([(ours, unsure)]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(20))
def test_full_agreement_means_that_all_are_matched(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [square(*rng.integers(0, 7, 2), int(rng.integers(0, 5))) for _ in range(6)]
    scores, class_ids = rng.uniform(0.3, 1, 6), rng.integers(0, 2, 6)
    ours = objects(masks, scores, class_ids)
    theirs = objects(masks, np.clip(scores + rng.normal(0, 0.02, 6), 0.31, 1), class_ids)
    assert agreement(ours, theirs) == 1.0
    assert matched_share([(ours, theirs)]) == 1.0
    if len({(mask.tobytes(), class_id) for mask, class_id in zip(masks, class_ids, strict=True)}) == 6:
        assert mutual_quality([(ours, theirs)]) == pytest.approx(1.0)  # no two are the same object


def test_one_object_against_three_copies_of_it_is_no_full_match() -> None:
    one, three = objects([square(2, 2)], [0.9], [0]), objects([square(2, 2)] * 3, [0.9] * 3, [0] * 3)
    assert mutual_quality([(one, three)]) == pytest.approx(0.5)
