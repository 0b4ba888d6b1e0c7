"""Average precision equals pycocotools to the last digit, and the figures known for the fixture."""

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from segrt.runtime.evaluate import InstanceEvaluator, evaluate_predictions, open_dataset
from segrt.runtime.evaluate.measuring import Options
from segrt.runtime.evaluate.metrics.boundary import boundary_of, boundary_reach
from segrt.runtime.results import Label, rle

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "coco_eval"
TWELVE = ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"]
TWELVE += ["ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"]


def peers_figures(truth_path, results, kind):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(truth_path))
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats.tolist()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("kind", "known"), [("bbox", 0.505), ("segm", 0.320)])
def test_the_twelve_figures_are_the_peers(kind, known):
    if not FIXTURES.is_dir():
        pytest.skip(f"{FIXTURES} is missing")
    truth_path = FIXTURES / "instances_val2014_100.json"
    predictions = FIXTURES / f"instances_val2014_fake{kind}100_results.json"
    result = evaluate_predictions(predictions, open_dataset(truth_path))
    expected = peers_figures(truth_path, str(predictions), kind)
    assert [result.metrics[name] for name in TWELVE] == pytest.approx(expected, abs=1e-9)
    assert result.metrics["ap"] == pytest.approx(known, abs=5e-4)
    known_classes = [figures["ap"] for figures in result.per_class.values() if figures["ap"] is not None]
    assert np.mean(known_classes) == pytest.approx(result.metrics["ap"], abs=1e-9)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_from_arrays_with_crowds_give_the_peers_figures(tmp_path):
    rng = np.random.default_rng(3)
    labels = [Label("car", 5, True, (0, 0, 0)), Label("dog", 9, True, (0, 0, 0))]
    evaluator = InstanceEvaluator(labels)
    content = {"images": [], "annotations": [], "categories": [{"id": i, "name": str(i)} for i in range(2)]}
    results = []
    for image_id in range(1, 9):
        content["images"].append({"id": image_id, "height": 120, "width": 160})
        truth, predicted = [], []
        for number in range(int(rng.integers(1, 6))):
            y, x, h, w = (int(v) for v in (rng.integers(0, 60), rng.integers(0, 80), *rng.integers(10, 60, 2)))
            mask = np.zeros((120, 160), bool)
            mask[y : y + h, x : x + w] = True
            category = int(rng.integers(2))
            entry = {
                "category_id": category,
                "iscrowd": int(number == 4),
                "area": int(mask.sum()),
                "bbox": [x, y, w, h],
                "segmentation": rle.encode(mask),
            }
            truth.append(entry)
            moved = np.roll(mask, (int(rng.integers(-6, 7)), int(rng.integers(-6, 7))), (0, 1))
            predicted.append({"category_id": category, "score": float(rng.random()), "segmentation": rle.encode(moved)})
        evaluator.update(predicted, truth, (120, 160))
        for entry in truth:
            text = {**entry["segmentation"], "counts": entry["segmentation"]["counts"].decode()}
            whole = {**entry, "segmentation": text, "image_id": image_id, "id": len(content["annotations"]) + 1}
            content["annotations"].append(whole)
        results += [{**entry, "image_id": image_id} for entry in predicted]
    (tmp_path / "truth.json").write_text(json.dumps(content))
    expected = [None if figure == -1 else figure for figure in peers_figures(tmp_path / "truth.json", results, "segm")]
    found = evaluator.result()
    for name, figure in zip(TWELVE, expected, strict=True):
        assert found.metrics[name] == (None if figure is None else pytest.approx(figure, abs=1e-9))
    assert found == evaluator.result()


def squares(*corners, side=20):
    """Masks of (60, 80) with a square each."""
    masks = np.zeros((len(corners), 60, 80), bool)
    for mask, (y, x) in zip(masks, corners, strict=True):
        mask[y : y + side, x : x + side] = True
    return masks


def one_square(labels, moved, **options):
    """An evaluator that saw one true square and one found square `moved` columns to the right."""
    true, found = squares((10, 10), (10, 10 + moved))
    evaluator = InstanceEvaluator(labels, **options)
    truth = {"category_id": 0, "iscrowd": 0, "area": 400, "bbox": [10, 10, 20, 20], "segmentation": rle.encode(true)}
    detection = {"category_id": 0, "score": 0.9, "bbox": [10 + moved, 10, 20, 20], "segmentation": rle.encode(found)}
    evaluator.update([detection], [truth], (60, 80))
    return evaluator


def test_boundary_and_box_precision_follow_their_own_ious():
    labels = [Label("car", 5, True, (0, 0, 0))]
    metrics = one_square(labels, 2, boundary=True).result().metrics
    # IoU 360 / 440 = 0.818 of mask and box: right at seven of the ten thresholds.
    assert metrics["ap"] == metrics["bbox_ap"] == pytest.approx(0.7)
    # The boundary is 2 pixels wide (2 % of the diagonal of 100): frames of 144 pixels that share 72 share too little.
    assert metrics["boundary_ap"] < 0.2
    assert "boundary_ap" not in one_square(labels, 2).result().metrics


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_boundary_precision_of_the_fixture_is_that_of_its_authors_code():
    if not FIXTURES.is_dir():
        pytest.skip(f"{FIXTURES} is missing")
    dataset, options = open_dataset(FIXTURES / "instances_val2014_100.json"), Options(boundary=True)
    result = evaluate_predictions(FIXTURES / "instances_val2014_fakesegm100_results.json", dataset, options=options)
    found = [result.metrics[f"boundary_{name}"] for name in ("ap", "ap50", "ap75")]
    assert found == pytest.approx([0.226394, 0.377501, 0.225580], abs=5e-7)


@pytest.mark.parametrize(
    ("size", "reach"),
    [((60, 80), 2), ((45, 60), 2), ((105, 140), 4), ((75, 100), 2), ((9, 300), 6), ((1, 1), 1), ((375, 500), 12)],
)
def test_boundaries_are_as_wide_as_their_authors_make_them(size, reach):
    """Halves are rounded to even: 45x60 has 1.5, 75x100 has 2.5, 375x500 has 12.5."""
    assert boundary_reach(size) == reach
    rng = np.random.default_rng(1)
    shapes = [np.ones(size, np.uint8), np.zeros(size, np.uint8), (rng.random(size) < 0.98).astype(np.uint8)]
    shapes.append(
        np.pad(np.ones((max(size[0] - 2, 1), max(size[1] - 20, 1)), np.uint8), 30)[29 : 29 + size[0], 20 : 20 + size[1]]
    )
    for mask in shapes:
        padded = cv2.copyMakeBorder(np.ascontiguousarray(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=reach)[1:-1, 1:-1]
        np.testing.assert_array_equal(boundary_of(np.ascontiguousarray(mask)), mask - eroded)


@pytest.mark.parametrize(("size", "more"), [((45, 60), 1), ((105, 140), 1), ((9, 300), 20)])
def test_boundary_precision_follows_the_smaller_iou(size, more):
    """One truth and one detection: it is right at the thresholds that lie below the smaller IoU."""
    width = size[1]
    truth, found = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    truth[:, width // 4 : width // 2] = 1
    found[:, width // 4 : width // 2 + more] = 1
    inner = [boundary_of(mask).astype(bool) for mask in (truth, found)]
    smaller = min(
        (one & other).sum() / (one | other).sum() for one, other in ((truth > 0, found > 0), (inner[0], inner[1]))
    )
    evaluator = InstanceEvaluator([Label("car", 5, True, (0, 0, 0))], boundary=True)
    entry = {"category_id": 0, "iscrowd": 0, "area": int(truth.sum()), "bbox": [0, 0, 1, 1]}
    evaluator.update(
        [{"category_id": 0, "score": 0.9, "segmentation": rle.encode(found.astype(bool))}],
        [{**entry, "segmentation": rle.encode(truth.astype(bool))}],
        size,
    )
    share = np.mean(smaller >= np.linspace(0.5, 0.95, 10))
    assert 0 < share < 1
    assert evaluator.result().metrics["boundary_ap"] == pytest.approx(share)


def test_merged_evaluators_gather_what_one_does():
    labels = [Label("car", 5, True, (0, 0, 0))]
    whole = one_square(labels, 0)
    whole.merge(one_square(labels, 6))
    whole.merge(one_square(labels, 2))
    expected = whole.result()
    assert expected.images == 3
    other = one_square(labels, 6)
    other.merge(one_square(labels, 2))
    first = one_square(labels, 0)
    first.merge(other)
    assert first.result() == expected


def test_no_detections_give_zero_and_no_objects_give_nothing():
    labels = [Label("car", 5, True, (0, 0, 0))]
    mask = np.ones((40, 50), bool)
    truth = {"category_id": 0, "iscrowd": 0, "area": 2000, "bbox": [0, 0, 50, 40], "segmentation": rle.encode(mask)}
    evaluator = InstanceEvaluator(labels)
    evaluator.update([], [truth], (40, 50))
    assert evaluator.result().metrics["ap"] == 0.0
    evaluator = InstanceEvaluator(labels)
    evaluator.update([{"category_id": 0, "score": 0.5, "segmentation": rle.encode(mask)}], [], (40, 50))
    assert evaluator.result().metrics["ap"] is None
