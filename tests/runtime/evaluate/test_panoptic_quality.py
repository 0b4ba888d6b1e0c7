"""Panoptic quality equals a slow reference written from the paper, on real annotations and perturbed copies."""

import json
from pathlib import Path

import numpy as np
import pytest

from segrt.runtime.evaluate import PanopticEvaluator, open_dataset
from segrt.runtime.evaluate.truth import PanopticTruth, TruthSegment
from segrt.runtime.results import Label, PanopticResult, Segment, coco_format

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "coco_panoptic"
LABELS = (
    Label("road", 1, False, (0, 0, 0)),
    Label("car", 2, True, (0, 0, 0)),
    Label("person", 3, True, (0, 0, 0)),
)


class SlowReference:
    """PQ by definition: one boolean mask per segment, every pair compared."""

    def __init__(self, classes):
        self.sums = [{"iou": 0.0, "tp": 0, "fp": 0, "fn": 0, "covered": 0.0, "area": 0} for _ in range(classes)]

    def update(self, predicted, truth):  # noqa: D102
        void = truth.segment_ids == 0
        matched = set()
        for true in truth.segments:
            if true.iscrowd:
                continue
            true_mask = truth.segment_ids == true.id
            found, best = False, 0.0
            for segment in predicted.segments:
                if segment.class_id != true.class_id:
                    continue
                mask = predicted.segment_ids == segment.id
                union = (true_mask | (mask & ~void)).sum()
                best = max(best, (true_mask & mask).sum() / union)
                if (true_mask & mask).sum() / union > 0.5:
                    self.sums[true.class_id]["iou"] += (true_mask & mask).sum() / union
                    self.sums[true.class_id]["tp"] += 1
                    matched.add(segment.id)
                    found = True
            self.sums[true.class_id]["fn"] += not found
            self.sums[true.class_id]["covered"] += true_mask.sum() * best
            self.sums[true.class_id]["area"] += true_mask.sum()
        for segment in predicted.segments:
            mask = predicted.segment_ids == segment.id
            if segment.id in matched or not mask.any():
                continue
            crowds = [true.id for true in truth.segments if true.iscrowd and true.class_id == segment.class_id]
            excused = void | (truth.segment_ids == crowds[-1]) if crowds else void
            self.sums[segment.class_id]["fp"] += not (mask & excused).sum() / mask.sum() > 0.5

    def figures(self, chosen):  # noqa: D102
        rows = []
        for index in chosen:
            count = self.sums[index]
            weight = count["tp"] + count["fp"] / 2 + count["fn"] / 2
            if weight:
                sq = count["iou"] / count["tp"] if count["tp"] else 0.0
                rows.append((count["iou"] / weight, sq, count["tp"] / weight))
        covering = [self.sums[i]["covered"] / self.sums[i]["area"] for i in chosen if self.sums[i]["area"]]
        pc = np.mean(covering) if covering else None
        return [*([None] * 3 if not rows else np.mean(rows, axis=0).tolist()), pc]


def as_result(truth, ids, class_ids):
    """A result with the ids of a map; `class_ids` maps each id to its class."""
    present = [value for value in np.unique(ids).tolist() if value]
    segments = [Segment(value, class_ids[value], False, 1.0, 0, (0, 0, 0, 0)) for value in present]
    return PanopticResult(ids, segments, truth.labels)


def perturb(truth, kind, rng):
    ids = truth.segment_ids.copy()
    class_ids = {segment.id: segment.class_id for segment in truth.segments}
    names = list(class_ids)
    if kind == "shifted":
        ids = np.roll(ids, (int(rng.integers(3, 40)), int(rng.integers(3, 40))), (0, 1))
    elif kind == "merged":
        for value in names[1::2]:
            ids[ids == value] = names[0]
    elif kind == "split":
        half = ids[:, : ids.shape[1] // 2]
        for value in names:
            half[half == value] = value + (1 << 25)
            class_ids[value + (1 << 25)] = class_ids[value]
    elif kind == "relabelled":
        for value in names:
            if rng.random() < 0.4:
                class_ids[value] = int(rng.integers(len(truth.labels)))
    elif kind == "dropped":
        for value in names:
            if rng.random() < 0.4:
                ids[ids == value] = 0
    elif kind == "over void":
        ids[ids == 0] = names[0]
    return as_result(truth, ids, class_ids)


def check(evaluator, reference, labels):
    result = evaluator.result()
    groups = {
        "": range(len(labels)),
        "_things": [index for index, label in enumerate(labels) if label.isthing],
        "_stuff": [index for index, label in enumerate(labels) if not label.isthing],
    }
    for suffix, chosen in groups.items():
        for name, expected in zip(("pq", "sq", "rq", "pc"), reference.figures(chosen), strict=True):
            assert result.metrics[name + suffix] == (None if expected is None else pytest.approx(expected, abs=1e-9))
    for index, label in enumerate(labels):
        for name, expected in zip(("pq", "sq", "rq", "pc"), reference.figures([index]), strict=True):
            figure = result.per_class[label.name][name]
            assert figure == (None if expected is None else pytest.approx(expected, abs=1e-9))
    return result


@pytest.fixture(scope="module")
def dataset():
    if not FIXTURES.is_dir():
        pytest.skip(f"{FIXTURES} is missing")
    return open_dataset(FIXTURES / "panoptic.json")


@pytest.fixture(scope="module")
def truths(dataset):
    crowded = {
        annotation["image_id"]
        for annotation in json.loads((FIXTURES / "panoptic.json").read_text())["annotations"]
        if any(segment["iscrowd"] for segment in annotation["segments_info"])
    }
    samples = sorted(dataset.samples, key=lambda sample: sample.image_id not in crowded)[:8]
    found = [dataset.read_truth(sample) for sample in samples]
    assert any(segment.iscrowd for truth in found for segment in truth.segments)
    # Every second pixel says the same, in a quarter of the time.
    return [PanopticTruth(truth.segment_ids[::2, ::2].copy(), *_kept(truth)) for truth in found]


def _kept(truth):
    present = set(np.unique(truth.segment_ids[::2, ::2]).tolist())
    return tuple(segment for segment in truth.segments if segment.id in present), truth.labels


def test_truth_against_itself_is_perfect(dataset):
    evaluator = PanopticEvaluator(dataset.labels)
    for sample in dataset.samples:
        truth = dataset.read_truth(sample)
        evaluator.update(as_result(truth, truth.segment_ids, {s.id: s.class_id for s in truth.segments}), truth)
    result = evaluator.result()
    assert result.images == 53
    assert set(result.metrics.values()) == {1.0}


@pytest.mark.parametrize("kind", ["shifted", "merged", "split", "relabelled", "dropped", "over void"])
def test_perturbed_copies_give_the_references_figures(truths, kind):
    rng = np.random.default_rng(7)
    labels = truths[0].labels
    evaluator, reference = PanopticEvaluator(labels), SlowReference(len(labels))
    for truth in truths:
        predicted = perturb(truth, kind, rng)
        evaluator.update(predicted, truth)
        reference.update(predicted, truth)
    result = check(evaluator, reference, labels)
    assert result.metrics["pq"] < 1.0 or kind == "over void"


@pytest.mark.parametrize("seed", range(30))
def test_random_maps_with_void_and_crowds_give_the_references_figures(seed):
    rng = np.random.default_rng(seed)
    evaluator, reference = PanopticEvaluator(LABELS), SlowReference(len(LABELS))
    for _ in range(4):
        truth_ids = np.repeat(np.repeat(rng.integers(0, 7, (5, 6)), 4, 0), 4, 1).astype(np.int32)
        predicted_ids = np.where(rng.random(truth_ids.shape) < 0.75, truth_ids, rng.integers(0, 7, truth_ids.shape))
        present = [value for value in np.unique(truth_ids).tolist() if value]
        classes = {value: int(rng.integers(3)) for value in range(1, 7)}
        segments = tuple(TruthSegment(value, classes[value], rng.random() < 0.3) for value in present)
        truth = PanopticTruth(truth_ids, segments, LABELS)
        predicted = as_result(truth, predicted_ids.astype(np.int32), {**classes, 6: int(rng.integers(3))})
        evaluator.update(predicted, truth)
        reference.update(predicted, truth)
    check(evaluator, reference, LABELS)


def one_image(truth_ids, truth_segments, predicted_ids, predicted_classes):
    truth = PanopticTruth(np.array(truth_ids, np.int32), tuple(truth_segments), LABELS)
    evaluator = PanopticEvaluator(LABELS)
    evaluator.update(as_result(truth, np.array(predicted_ids, np.int32), predicted_classes), truth)
    return evaluator


def test_a_match_needs_more_than_half():
    half = one_image([[1, 1]], [TruthSegment(1, 1, False)], [[1, 0]], {1: 1})
    assert not half.tally(1).ious
    assert half.tally(1).false_positives == half.tally(1).false_negatives == 1
    more = one_image([[1, 1, 1]], [TruthSegment(1, 1, False)], [[1, 1, 0]], {1: 1})
    assert len(more.tally(1).ious) == 1
    assert more.result().metrics["sq"] == pytest.approx(2 / 3)


def test_void_of_the_truth_is_left_out_of_the_union():
    evaluator = one_image([[1, 0, 0, 0]], [TruthSegment(1, 1, False)], [[1, 1, 1, 1]], {1: 1})
    assert evaluator.result().metrics["pq"] == 1.0


def test_a_crowd_is_neither_missed_nor_a_false_positive():
    crowd = TruthSegment(4, 2, True)
    missed = one_image([[4, 4, 4]], [crowd], [[0, 0, 0]], {})
    assert missed.result().metrics["pq"] is None
    found = one_image([[4, 4, 4]], [crowd], [[9, 9, 9]], {9: 2})
    assert found.result().metrics["pq"] is None
    wrong_class = one_image([[4, 4, 4]], [crowd], [[9, 9, 9]], {9: 1})
    assert wrong_class.tally(1).false_positives == 1


def test_a_merged_evaluator_gives_the_figures_of_one(truths):
    labels = truths[0].labels
    whole, parts = PanopticEvaluator(labels), [PanopticEvaluator(labels) for _ in range(3)]
    for number, truth in enumerate(truths):
        predicted = perturb(truth, "shifted", np.random.default_rng(number))
        whole.update(predicted, truth)
        parts[number % 3].update(predicted, truth)
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    assert parts[2].result() == whole.result()


def test_a_picture_of_ids_is_counted_as_the_ids_are(truths):
    truth = truths[0]
    picture = coco_format.id2rgb(truth.segment_ids)[..., ::-1].copy()
    colors = PanopticTruth(picture, truth.segments, truth.labels)
    predicted = perturb(truth, "shifted", np.random.default_rng(3))
    figures = []
    for image in (truth, colors):
        evaluator = PanopticEvaluator(truth.labels)
        evaluator.update(predicted, image)
        figures.append(evaluator.result())
    assert figures[0] == figures[1]
    assert (colors.segment_ids == truth.segment_ids).all()
    evaluator.update(colors, truth)
    result = colors.to_result()
    assert [segment.area for segment in result.segments] == [
        int((truth.segment_ids == s.id).sum()) for s in truth.segments
    ]


def test_maps_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"truth's size \(1, 2\), but got \(1, 3\)"):
        one_image([[1, 1]], [TruthSegment(1, 1, False)], [[1, 1, 1]], {1: 1})
    with pytest.raises(ValueError, match=r"truth holds segment ids \[2\]"):
        one_image([[1, 2]], [TruthSegment(1, 1, False)], [[1, 1]], {1: 1})
