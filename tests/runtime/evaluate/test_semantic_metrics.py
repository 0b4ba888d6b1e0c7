"""mIoU and accuracies equal a reference that counts pixel sets class by class."""

import numpy as np
import pytest

from segrt.runtime.evaluate import SemanticEvaluator
from segrt.runtime.results import Label

LABELS = tuple(Label(name, index, False, (0, 0, 0)) for index, name in enumerate(("a", "b", "c", "d")))


def reference(pairs):
    ious, accuracies, right, total = [], [], 0, 0
    for index in range(len(LABELS)):
        hit = sum(((p == index) & (t == index)).sum() for p, t in pairs)
        true = sum((t == index).sum() for _, t in pairs)
        predicted = sum(((p == index) & (t != 255)).sum() for p, t in pairs)
        right, total = right + hit, total + true
        if true:
            ious.append(hit / (true + predicted - hit))
            accuracies.append(hit / true)
    weights = [sum((t == index).sum() for _, t in pairs) / total for index in range(len(LABELS))]
    weighted = sum(weight * iou for weight, iou in zip([w for w in weights if w], ious, strict=True))
    return np.mean(ious), right / total, np.mean(accuracies), weighted


@pytest.mark.parametrize("seed", range(10))
def test_figures_are_the_references(seed):
    rng = np.random.default_rng(seed)
    evaluator = SemanticEvaluator(LABELS)
    pairs = []
    for _ in range(3):
        # Class 3 is predicted but never true; 255 is void in both.
        truth = rng.choice([0, 1, 2, 255], (20, 30)).astype(np.uint8)
        predicted = np.where(rng.random((20, 30)) < 0.6, truth, rng.choice([0, 1, 2, 3, 255], (20, 30)))
        pairs.append((predicted.astype(np.uint8), truth))
        evaluator.update(*pairs[-1])
    result = evaluator.result()
    found = [result.metrics[name] for name in ("miou", "pixel_accuracy", "mean_accuracy", "fwiou")]
    assert found == pytest.approx(list(reference(pairs)), abs=1e-12)
    assert result.images == 3
    assert result.per_class["d"] == {"iou": None, "accuracy": None}


def test_void_is_not_counted_in_the_truth_and_wrong_in_the_prediction():
    evaluator = SemanticEvaluator(LABELS)
    evaluator.update(np.array([[0, 1, 255]], np.uint8), np.array([[0, 255, 0]], np.uint8))
    expected = {"miou": 0.5, "fwiou": 0.5, "pixel_accuracy": 0.5, "mean_accuracy": 0.5}
    assert evaluator.result().metrics == expected


def slow_boundary(mask, reach):
    """The pixels of a mask that lie within `reach` of a pixel that is outside it, the picture's border included."""
    found = np.zeros_like(mask)
    padded = np.pad(mask, reach)
    for y, x in zip(*np.nonzero(mask), strict=True):
        found[y, x] = not padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1].all()
    return found


def test_maps_of_int32_with_negative_void_have_boundaries_too():
    wide, narrow = (SemanticEvaluator(LABELS, boundary=True) for _ in range(2))
    truth = np.kron(np.array([[0, 1, 255], [2, 255, 0]]), np.ones((20, 20))).astype(np.uint8)
    predicted = np.roll(truth, 3, 1)
    narrow.update(predicted, truth)
    wide.update(*(np.where(found == 255, -1, found.astype(np.int32)) for found in (predicted, truth)))
    assert wide.result() == narrow.result()


def test_boundary_iou_is_that_of_masks_eroded_one_by_one():
    rng = np.random.default_rng(5)
    evaluator = SemanticEvaluator(LABELS, boundary=True)
    both, either = np.zeros(3), np.zeros(3)
    reach = round(0.02 * np.hypot(60, 80))
    assert reach == 2
    for _ in range(2):
        truth = np.repeat(np.repeat(rng.choice([0, 1, 2, 255], (4, 5)), 15, 0), 16, 1).astype(np.uint8)
        predicted = np.roll(truth, (3, 2), (0, 1))
        evaluator.update(predicted, truth)
        for index in range(3):
            true = slow_boundary(truth == index, reach)
            found = slow_boundary(predicted == index, reach) & (truth != 255)
            both[index] += (true & found).sum()
            either[index] += (true | found).sum()
    result = evaluator.result()
    assert [result.per_class[name]["boundary_iou"] for name in "abc"] == pytest.approx((both / either).tolist())
    assert result.metrics["boundary_iou"] == pytest.approx(np.mean(both / either))
    assert result.metrics["boundary_iou"] < result.metrics["miou"]


def test_merged_evaluators_give_the_figures_of_one():
    rng = np.random.default_rng(1)
    pairs = [rng.integers(0, 4, (2, 20, 30)).astype(np.uint8) for _ in range(3)]
    whole, parts = SemanticEvaluator(LABELS, boundary=True), [SemanticEvaluator(LABELS, boundary=True) for _ in pairs]
    for part, (predicted, truth) in zip(parts, pairs, strict=True):
        assert whole.update(predicted, truth) == part.update(predicted, truth) == part.result().metrics["miou"]
    parts[0].merge(parts[1])
    parts[0].merge(parts[2])
    assert parts[0].result() == whole.result()


def test_different_dtypes_of_prediction_and_truth_agree():
    evaluator = SemanticEvaluator(LABELS)
    evaluator.update(np.array([[0, 65535]], np.uint16), np.array([[0, 1]], np.uint8))
    assert evaluator.result().metrics["pixel_accuracy"] == 0.5


def test_maps_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 2\), but got \(2, 3\)"):
        SemanticEvaluator(LABELS).update(np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.uint8))


def test_nothing_counted_gives_no_figures():
    assert set(SemanticEvaluator(LABELS).result().metrics.values()) == {None}
