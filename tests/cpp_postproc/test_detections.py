"""Suppression of detections: YOLO's boxes and SOLO's matrix."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_matrix_nms

from segrt.runtime import postproc


def predictions_for(rng: np.random.Generator, classes: int, coefficients: int, anchors: int) -> Any:
    centres = rng.uniform(0, 600, (2, anchors))
    sizes = rng.uniform(5, 200, (2, anchors))
    scores = rng.uniform(0, 1, (classes, anchors)) ** 2
    return np.concatenate([centres, sizes, scores, rng.normal(size=(coefficients, anchors))]).astype(np.float32)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_yolo_equals_torchvisions_suppression(seed: int, agnostic: bool) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ops = pytest.importorskip("torchvision.ops")
    predictions = predictions_for(np.random.default_rng(seed), 5, 4, 700)
    result = postproc.decode_yolo(predictions, coefficients=4, max_detections=50, agnostic=agnostic)
    table = torch.from_numpy(predictions).T
    score, label = table[:, 4:9].max(1)
    chosen = score > 0.25
    centre, half = table[chosen, :2], table[chosen, 2:4] / 2
    boxes = torch.cat([centre - half, centre + half], 1)
    kept = ops.batched_nms(boxes, score[chosen], label[chosen] * (not agnostic), 0.45)[:50]
    np.testing.assert_allclose(result.boxes, boxes[kept].numpy(), rtol=1e-6)
    assert np.array_equal(result.class_ids, label[chosen][kept].numpy())
    assert np.array_equal(result.scores, score[chosen][kept].numpy())
    assert np.array_equal(result.coefficients, table[chosen, 9:][kept].numpy())


def test_yolo_reads_transposed_and_half_predictions() -> None:
    predictions = predictions_for(np.random.default_rng(1), 3, 0, 100)
    rows = np.ascontiguousarray(predictions.T)
    expected = postproc.decode_yolo(predictions)
    assert np.array_equal(postproc.decode_yolo(rows.T).boxes, expected.boxes)
    assert len(postproc.decode_yolo(predictions.astype(np.float16)).scores) > 0


def test_yolo_drops_anchors_that_are_not_finite_and_counts_them() -> None:
    predictions = np.array([[10, 50, 90], [10, 50, 90], [5, 5, 5], [5, np.inf, 5], [0.9, 0.9, np.nan]], np.float32)
    report = postproc.Report()
    result = postproc.decode_yolo(predictions, report=report)
    assert result.boxes.tolist() == [[7.5, 7.5, 12.5, 12.5]]
    assert report.nonfinite == 2
    assert postproc.decode_yolo(predictions[:, :0]).boxes.shape == (0, 4)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 12),
    size=st.tuples(st.integers(1, 40), st.integers(1, 90)),
    kernel=st.sampled_from(["gaussian", "linear"]),
    threads=st.integers(1, 2),
)
def test_matrix_nms_equals_mmdets_arithmetic(seed: int, count: int, size: Any, kernel: Any, threads: int) -> None:
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[: size[0], : size[1]]
    centre = rng.uniform(0.2, 0.8, (count, 2, 1, 1)) * np.array(size)[:, None, None]
    masks = np.hypot(ys - centre[:, 0], xs - centre[:, 1]) < rng.uniform(0, 20, (count, 1, 1))
    scores = np.round(rng.uniform(size=count), 1).astype(np.float32)
    class_ids = rng.integers(0, 3, count)
    expected = slow_matrix_nms.matrix_nms(masks, scores, class_ids, kernel, 2.0)
    result = postproc.matrix_nms(masks, scores, class_ids, kernel=kernel, threads=threads)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)
