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
    return np.mean(ious), right / total, np.mean(accuracies)


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
    found = [result.metrics[name] for name in ("miou", "pixel_accuracy", "mean_accuracy")]
    assert found == pytest.approx(list(reference(pairs)), abs=1e-12)
    assert result.images == 3
    assert result.per_class["d"] == {"iou": None, "accuracy": None}


def test_void_is_not_counted_in_the_truth_and_wrong_in_the_prediction():
    evaluator = SemanticEvaluator(LABELS)
    evaluator.update(np.array([[0, 1, 255]], np.uint8), np.array([[0, 255, 0]], np.uint8))
    assert evaluator.result().metrics == {"miou": 0.5, "pixel_accuracy": 0.5, "mean_accuracy": 0.5}


def test_different_dtypes_of_prediction_and_truth_agree():
    evaluator = SemanticEvaluator(LABELS)
    evaluator.update(np.array([[0, 65535]], np.uint16), np.array([[0, 1]], np.uint8))
    assert evaluator.result().metrics["pixel_accuracy"] == 0.5


def test_maps_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 2\), but got \(2, 3\)"):
        SemanticEvaluator(LABELS).update(np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.uint8))


def test_nothing_counted_gives_no_figures():
    assert set(SemanticEvaluator(LABELS).result().metrics.values()) == {None}
