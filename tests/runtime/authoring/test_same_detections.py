"""Detections that rounding swaps or loses at an edge are the same; wrong ones are refused."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from segrt.runtime.authoring import verification
from segrt.runtime.authoring.same_detections import paired_detections
from segrt.runtime.bundle.golden import GoldenOutputs
from segrt.runtime.bundle.manifest import HeadTolerance
from segrt.runtime.decode.head_spec import HeadSpec

COUNT = 100
TOLERANCE = 0.01
Heads = dict[str, npt.NDArray[Any]]


@pytest.fixture
def heads() -> Heads:
    """Return a hundred detections, no two of which overlap, by falling score."""
    corners = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) * 20.0
    scores = np.linspace(0.99, 0.3, COUNT).astype(np.float32)
    boxes = np.concatenate([corners, corners + 15], axis=1).astype(np.float32)
    masks = np.random.default_rng(0).random((COUNT, 4, 4), np.float32)
    return {"boxes": boxes, "scores": scores, "class_ids": np.arange(COUNT) % 7, "masks": masks}


def taken(heads: Heads, rows: Any) -> Heads:
    return {role: array[rows].copy() for role, array in heads.items()}


def worst(wanted: Heads, actual: Heads) -> float:
    """Return the largest error of any score, infinity for one that is not a number."""
    paired = paired_detections(wanted, actual, TOLERANCE)
    assert paired is not None
    return float(np.nan_to_num(np.abs(paired["scores"] - wanted["scores"]), nan=np.inf).max())


def test_swapped_rows_are_put_back_with_all_their_heads(heads: Heads) -> None:
    rows = np.arange(COUNT)
    rows[[3, 4, 50, 51]] = rows[[4, 3, 51, 50]]
    paired = paired_detections(heads, taken(heads, rows), TOLERANCE)
    assert paired is not None
    assert all((paired[role] == heads[role]).all() for role in heads)


def test_one_that_suppression_lost_shifts_the_others_and_is_the_same(heads: Heads) -> None:
    rows = np.delete(np.arange(COUNT), 40)
    actual = taken(heads, [*rows, 40])
    actual["boxes"][-1], actual["scores"][-1] = (500, 500, 530, 530), 0.295  # what moved up behind the last
    assert np.abs(actual["scores"] - heads["scores"]).max() > 0.005
    assert worst(heads, actual) == 0
    assert worst(actual, heads) == 0


def test_of_two_that_suppress_each_other_either_may_be_kept(heads: Heads) -> None:
    few = taken(heads, slice(0, 10))
    rival = taken(few, slice(None))
    rival["boxes"][3] += (6, 0, 6, 0)  # an IoU of 0.43 with the one that it suppressed
    rival["scores"][3] += 0.004
    rival["scores"][5] += 0.02
    assert worst(few, rival) == pytest.approx(0.02)
    rival["scores"][3] += 0.01
    assert worst(few, rival) == np.inf, "it would have been better in the other run, too"
    rival["scores"][3] = few["scores"][3]
    rival["boxes"][3] += (4, 0, 4, 0)
    assert worst(few, rival) == np.inf, "too far to suppress"
    rival["boxes"][3] -= (4, 0, 4, 0)
    rival["class_ids"][3] += 1
    assert worst(few, rival) == np.inf, "of another class"


def test_what_is_lost_at_the_least_score_is_no_failure(heads: Heads) -> None:
    few = taken(heads, slice(0, 10))
    few["scores"][9] = 0.055
    less = taken(few, slice(None))
    less["scores"][9] = 0
    assert worst(few, less) == 0
    assert worst(less, few) == 0
    few["scores"][9] = 0.2
    assert worst(few, less) == np.inf
    assert worst(less, few) == np.inf


@pytest.mark.parametrize("many", [3, 100])
def test_detections_elsewhere_or_of_another_class_are_refused(heads: Heads, many: int) -> None:
    elsewhere, renamed = taken(heads, slice(None)), taken(heads, slice(None))
    elsewhere["boxes"][:many] += 900
    renamed["class_ids"][:many] += 1
    assert worst(heads, elsewhere) == worst(heads, renamed) == np.inf


def test_other_detections_are_refused_though_all_are_equally_sure(heads: Heads) -> None:
    heads["scores"][:] = 0.999
    others = taken(heads, slice(None))
    others["boxes"][:60] += 900
    assert worst(heads, others) == np.inf


def test_scores_that_differ_do_so_still(heads: Heads) -> None:
    less_sure = taken(heads, slice(None))
    less_sure["scores"][5] -= 0.1
    assert worst(heads, less_sure) == pytest.approx(0.1)


def test_what_are_no_detections_or_no_numbers_is_left_alone(heads: Heads) -> None:
    assert paired_detections({"class_logits": heads["scores"]}, {"class_logits": heads["scores"]}, 0.1) is None
    broken = taken(heads, slice(None))
    broken["scores"][0] = np.nan
    assert paired_detections(heads, broken, 0.1) is None
    assert paired_detections(heads, taken(heads, slice(0, 50)), 0.1) is None


def test_golden_scores_are_compared_with_their_partners(heads: Heads) -> None:
    specs = [HeadSpec(role, role, array.dtype.name, (1, *array.shape)) for role, array in heads.items()]
    golden = GoldenOutputs(heads | {"masks": heads["masks"].astype(np.float16)}, result=None)  # type: ignore[arg-type]
    rows = [*np.delete(np.arange(COUNT), 30), 30]
    device = {role: array[None] for role, array in taken(heads, rows).items()}
    device["boxes"][0, -1] += 900
    device["scores"][0, -1] = 0.299
    tolerances = {"scores": HeadTolerance(0.005)}
    found = verification._paired(golden, specs, device, tolerances)
    assert np.abs(found["scores"][0] - heads["scores"]).max() == 0
    assert found["masks"].dtype == np.float32
    assert verification._paired(golden, specs, device, {})["scores"] is device["scores"]
    device["class_ids"] = device["class_ids"] + 1
    assert np.isnan(verification._paired(golden, specs, device, tolerances)["scores"]).any()
