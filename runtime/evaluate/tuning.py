"""Tuning a bundle on a validation set: the thresholds that score best, and the fastest variant within a budget."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.merge_members import MergeMembers
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.evaluate.class_matching import ClassMatch, thing_positions
from segrt.runtime.evaluate.datasets.dataset import Dataset, Sample
from segrt.runtime.evaluate.measuring import Options, doubts_of, measure, prepare
from segrt.runtime.evaluate.metrics.class_iou import SemanticMeter
from segrt.runtime.evaluate.metrics.meter import MeterOptions
from segrt.runtime.evaluate.metrics.panoptic_quality import PanopticMeter
from segrt.runtime.evaluate.segmenting import SegmenterPredictor, picture_of
from segrt.runtime.evaluate.truth import PanopticTruth, SemanticTruth, Truth
from segrt.runtime.inference.execution import Execution
from segrt.runtime.results import rle
from segrt.runtime.segmenter import Segmenter, open_segmenter

_SCORES = tuple(round(0.05 * step, 2) for step in range(4, 19))  # 0.20 to 0.90
_CUTS = tuple(round(0.02 * step, 2) for step in range(1, 50))  # 0.02 to 0.98
_OVERLAPS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_IOU = 0.5
_TIMED_IMAGES = 4
_TURNS = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tuned:
    """The best thresholds by name, the figure they reach, and that of the bundle's own."""

    metric: str
    thresholds: dict[str, float]
    figure: float
    before: float


@dataclass(frozen=True)
class VariantFigures:
    """A variant on the validation set: its figure, the drop in percentage points, the median inference time."""

    precision: str
    figure: float
    drop: float
    inference_ms: float


def tune_thresholds(
    segmenter: Segmenter, dataset: Dataset, progress: Progress | None = None, options: Options | None = None
) -> Tuned | None:
    """Return the thresholds that score best; None for what has none. `options` say which classes count.

    Panoptic: PQ, score and overlap thresholds on a grid, each picture going through the network once. Instance: F1 at
    IoU 0.5, exactly, every score that occurs being a candidate; AP itself never gains from a threshold. Semantic of one
    object: mIoU, the threshold on a grid.
    """
    options = options or Options()
    if isinstance(segmenter.decode, Binary) and segmenter.decode.scores != "mask":
        return _tune_binary(segmenter, dataset, progress, options)
    if segmenter.technique == "panoptic" and isinstance(segmenter.decode, MergeQueries | MergeMembers):
        return _tune_panoptic(segmenter, dataset, progress, options)
    if segmenter.technique == "instance" and "score_threshold" in segmenter.decode.options:
        return _tune_instance(segmenter, dataset, progress, options)
    return None


def compare_variants(
    bundle: Bundle,
    dataset: Dataset,
    thresholds: dict[str, float],
    execution: Execution,
    *,
    options: Options | None = None,
    progress: Progress | None = None,
) -> list[VariantFigures]:
    """Measure every variant with the thresholds; drops are against fp32, or the first variant where there is none.

    Times are taken in turns on a few images, for a device's speed changes while one variant after another is measured.
    """
    precisions = [variant.precision for variant in bundle.manifest.variants]
    reference = "fp32" if "fp32" in precisions else precisions[0]
    variants = [replace(execution, precision=name) for name in precisions]
    count = len(dataset.samples)
    figures = []
    for number, variant in enumerate(variants):

        def shown(done: int, _: int, before: int = number * count) -> None:
            if progress is not None:
                progress(before + done, len(variants) * count)

        figures.append(figure_of(bundle, dataset, thresholds, variant, options=options, progress=shown))
    times = _times_in_turns(bundle, dataset, variants)
    best = figures[precisions.index(reference)]
    return [
        VariantFigures(name, figure, 100 * (best - figure), ms)
        for name, figure, ms in zip(precisions, figures, times, strict=True)
    ]


def figure_of(
    bundle: Bundle,
    dataset: Dataset,
    thresholds: dict[str, float],
    execution: Execution,
    *,
    options: Options | None = None,
    progress: Progress | None = None,
) -> float:
    """Return a variant's mIoU, AP or PQ on the data set, 0 to 1, with the thresholds.

    AP ranks all detections, so an instance variant is measured without a score threshold.
    """
    given = {"score_threshold": 0.0} if bundle.manifest.technique == "instance" else dict(thresholds)
    with _opened(bundle, execution, _replacing(given)) as segmenter:
        predictor = SegmenterPredictor(segmenter, str(bundle.folder))
        outcome = measure(predictor, dataset, options, progress=progress)
        metric = outcome.evaluations(segmenter.technique)[0].metrics[MAIN_METRIC[segmenter.technique].name]
    return metric or 0.0


def parse_budget(text: str) -> float:
    """Return the percentage points of "drop<=0.5"; raise SegrtError for anything else."""
    match = re.fullmatch(r"\s*drop\s*<=\s*(\d+(?:\.\d+)?)\s*", text)
    if match is None:
        raise SegrtError(f"--budget {text!r} cannot be read; write drop<=0.5, in percentage points")
    return float(match[1])


def fastest_within(variants: list[VariantFigures], budget: float) -> VariantFigures:
    """Return the variant with the least inference time among those whose drop is at most `budget` points."""
    return min((entry for entry in variants if entry.drop <= budget + 1e-9), key=lambda entry: entry.inference_ms)


def _times_in_turns(bundle: Bundle, dataset: Dataset, variants: list[Execution]) -> list[float]:
    """Return each variant's median inference time in ms: all are open, each image goes through one after the other."""
    times: list[list[float]] = [[] for _ in variants]
    with ExitStack() as stack:
        segmenters = [stack.enter_context(_opened(bundle, variant)) for variant in variants]
        images = [picture_of(segmenters[0], sample, dataset) for sample in dataset.samples[:_TIMED_IMAGES]]
        for turn in range(-1, _TURNS):  # the first one warms up
            for image in images:
                for measured, segmenter in zip(times, segmenters, strict=True):
                    timings = segmenter(image).timings
                    if turn >= 0 and timings is not None:
                        measured.append(timings.inference_ms)
    return [float(np.median(measured)) for measured in times]


def _replacing(thresholds: dict[str, float]) -> RuleChanges:
    return RuleChanges(thresholds.get("score_threshold"), thresholds.get("overlap_threshold"))


def _opened(bundle: Bundle, execution: Execution, changes: RuleChanges | None = None) -> Segmenter:
    return open_segmenter(
        bundle,
        backend=execution.backend,
        precision=execution.precision,
        threads=execution.threads,
        changes=changes,
        engines=execution.engines,
        device=execution.device,
        decode_on=execution.decode_on,
    )


def _tune_panoptic(segmenter: Segmenter, dataset: Dataset, progress: Progress | None, options: Options) -> Tuned:
    given = (getattr(segmenter.decode, "score_threshold"), getattr(segmenter.decode, "overlap_threshold"))  # noqa: B009
    grid = list(dict.fromkeys([given, *((score, overlap) for score in _SCORES for overlap in _OVERLAPS)]))
    predictor = SegmenterPredictor(segmenter, str(segmenter.bundle.folder))
    matched = prepare(predictor, dataset, options).match
    meters = {point: PanopticMeter(matched, MeterOptions()) for point in grid}
    for done, sample in enumerate(dataset.samples, start=1):
        truth = _truth(dataset, sample, matched)
        heads, geometry = segmenter.heads(picture_of(segmenter, sample, dataset))
        for (score, overlap), meter in meters.items():
            meter.update(segmenter.decoded(heads, geometry, score_threshold=score, overlap_threshold=overlap), truth)
        if progress is not None:
            progress(done, len(dataset.samples))
    figures = {point: meter.result().metrics["pq"] or 0.0 for point, meter in meters.items()}
    # Of equal figures the one nearest to the bundle's own thresholds.
    best = max(grid, key=lambda point: (figures[point], -abs(point[0] - given[0]) - abs(point[1] - given[1])))
    return Tuned("pq", {"score_threshold": best[0], "overlap_threshold": best[1]}, figures[best], figures[given])


def _tune_binary(segmenter: Segmenter, dataset: Dataset, progress: Progress | None, options: Options) -> Tuned:
    given = float(getattr(segmenter.decode, "score_threshold"))  # noqa: B009
    grid = list(dict.fromkeys([given, *_CUTS]))
    predictor = SegmenterPredictor(segmenter, str(segmenter.bundle.folder))
    matched = prepare(predictor, dataset, options).match
    meters = {cut: SemanticMeter(matched, MeterOptions()) for cut in grid}
    for done, sample in enumerate(dataset.samples, start=1):
        truth = _truth(dataset, sample, matched)
        heads, geometry = segmenter.heads(picture_of(segmenter, sample, dataset))
        for cut, meter in meters.items():
            meter.update(segmenter.decoded(heads, geometry, score_threshold=cut), truth)
        if progress is not None:
            progress(done, len(dataset.samples))
    if not matched.is_partial:
        doubts_of(meters[given], dataset)
    figures = {cut: meter.result().metrics["miou"] or 0.0 for cut, meter in meters.items()}
    best = max(grid, key=lambda cut: (figures[cut], -abs(cut - given)))
    return Tuned("miou", {"score_threshold": best}, figures[best], figures[given])


def _tune_instance(segmenter: Segmenter, dataset: Dataset, progress: Progress | None, options: Options) -> Tuned:
    given = float(getattr(segmenter.decode, "score_threshold"))  # noqa: B009
    predictor = SegmenterPredictor(segmenter, str(segmenter.bundle.folder))
    matched = prepare(predictor, dataset, options).match
    kept = set(thing_positions(matched.labels))
    scores: list[float] = []
    hits: list[bool] = []
    wanted = 0
    for done, sample in enumerate(dataset.samples, start=1):
        truth = _truth(dataset, sample, matched)
        if isinstance(truth, SemanticTruth):
            raise SegrtError(f"{dataset.path} tells no objects apart; give instance or panoptic annotations")
        objects = [entry for entry in truth.objects() if entry["category_id"] in kept]
        if any(not isinstance(entry.get("segmentation"), dict) for entry in objects):
            raise SegrtError(f"{dataset.path} has objects without masks as RLE; give COCO panoptic annotations")
        heads, geometry = segmenter.heads(picture_of(segmenter, sample, dataset))
        detections = conversion.detections(segmenter.decoded(heads, geometry, score_threshold=0.0), matched)
        wanted += sum(not entry["iscrowd"] for entry in objects)
        for score, hit in _matches(detections, objects):
            scores.append(score)
            hits.append(hit)
        if progress is not None:
            progress(done, len(dataset.samples))
    return _best_threshold(np.array(scores), np.array(hits, dtype=bool), wanted, given)


def _truth(dataset: Dataset, sample: Sample, matched: ClassMatch) -> Truth:
    """Return a sample's truth with the classes that are evaluated."""
    whole = dataset.read_truth(sample)
    if matched.is_partial and isinstance(whole, PanopticTruth):
        whole.verify()
    return conversion.truth(whole, matched)


def _matches(detections: list[dict[str, Any]], objects: list[dict[str, Any]]) -> list[tuple[float, bool]]:
    """Match greedily by score, as AP does; detections on crowds are left out. The matches of the best n are final."""
    masks = [rle.decode(entry["segmentation"]) for entry in objects]
    free = {index for index, entry in enumerate(objects) if not entry["iscrowd"]}
    matches = []
    for entry in sorted(detections, key=lambda entry: -entry["score"]):
        mask = rle.decode(entry["segmentation"])
        area = int(np.count_nonzero(mask))
        best, chosen, excused = _IOU, None, False
        for index, true in enumerate(objects):
            if true["category_id"] != entry["category_id"]:
                continue
            shared = int(np.count_nonzero(mask & masks[index]))
            if true["iscrowd"]:
                excused |= area > 0 and shared / area > _IOU
            elif index in free:
                iou = shared / max(1, area + int(np.count_nonzero(masks[index])) - shared)
                if iou > best:
                    best, chosen = iou, index
        if chosen is not None:
            free.remove(chosen)
        if chosen is not None or not excused:
            matches.append((float(entry["score"]), chosen is not None))
    return matches


def _best_threshold(scores: Any, hits: Any, wanted: int, given: float) -> Tuned:
    """Return the threshold with the highest F1 = 2 TP / (detections + objects), halfway between two scores.

    `wanted` is how many objects there are; `given` the bundle's own threshold, which stays where none is better.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(hits[order])
    f1 = 2 * right / np.maximum(1, np.arange(1, len(ranked) + 1) + wanted)
    # A threshold cannot part equal scores.
    ends = np.append(ranked[:-1] > ranked[1:], True) if len(ranked) else np.zeros(0, dtype=bool)
    kept = scores > given
    before = float(2 * hits[kept].sum() / max(1, int(kept.sum()) + wanted))
    if not len(ranked):
        return Tuned("f1", {"score_threshold": given}, before, before)
    best = int(np.argmax(np.where(ends, f1, -1.0)))
    below = float(ranked[best + 1]) if best + 1 < len(ranked) else 0.0
    threshold = round((float(ranked[best]) + below) / 2, 4)
    if float(f1[best]) <= before:
        return Tuned("f1", {"score_threshold": given}, before, before)
    return Tuned("f1", {"score_threshold": threshold}, float(f1[best]), before)
