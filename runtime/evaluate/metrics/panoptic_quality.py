"""Panoptic quality, exactly as panopticapi counts it."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.evaluation import Evaluation, Figure, mean
from segrt.runtime.evaluate.metrics.meter import MeterOptions
from segrt.runtime.evaluate.truth import PanopticTruth, Truth, TruthSegment
from segrt.runtime.postproc import count_overlaps
from segrt.runtime.results import Label, PanopticResult, Segment


@dataclass
class Tally:
    """What was counted of one class; the lists are summed exactly in the end, so that no order of images matters."""

    ious: list[float] = field(default_factory=list)
    covered: list[float] = field(default_factory=list)
    area: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def add(self, other: "Tally") -> None:
        """Add the counts of another one."""
        self.ious += other.ious
        self.covered += other.covered
        self.area += other.area
        self.false_positives += other.false_positives
        self.false_negatives += other.false_negatives

    def figures(self) -> dict[str, Figure]:
        """Return `pq`, `sq`, `rq` and `pc`, None where there was nothing to find."""
        hits = len(self.ious)
        weight = hits + 0.5 * self.false_positives + 0.5 * self.false_negatives
        iou_sum = math.fsum(self.ious)
        return {
            "pq": iou_sum / weight if weight else None,
            "sq": (iou_sum / hits if hits else 0.0) if weight else None,
            "rq": hits / weight if weight else None,
            "pc": math.fsum(self.covered) / self.area if self.area else None,
        }


class PanopticEvaluator:
    """Matches segments of prediction and truth and sums up, class by class.

    A predicted and a true segment of one class match when their IoU is above 0.5, void pixels of the truth left out of
    the union. Per class, PQ = sum of matched IoUs / (TP + FP / 2 + FN / 2), SQ = sum of matched IoUs / TP, RQ = TP /
    (TP + FP / 2 + FN / 2) (Kirillov et al. 2019, eq. 1 and 2); the figures over several classes are means over those
    with any segment. As in panopticapi's evaluation.py, crowds are never matched nor missed, and an unmatched
    prediction that lies by more than half on void or on a crowd of its class is not counted; where an image has
    several crowds of a class, the last one counts.

    Parsing covering (Yang et al. 2019, DeeperLab, eq. 1 and 2): per class the mean, weighted by area, over its true
    segments of the best IoU with a predicted segment of the class; void and crowds as above.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = tuple(labels)
        self._images = 0
        classes = len(self._labels)
        self._tallies = [Tally() for _ in range(classes)]

    def update(self, predicted: PanopticResult | PanopticTruth, truth: PanopticTruth) -> Figure:
        """Count one image; the class ids of both are positions in the evaluator's labels. Return the image's own PQ.

        Raises ValueError when the sizes differ, or a map holds an id that is not among its segments.
        """
        if predicted.size != truth.size:
            raise ValueError(f"predicted must have the truth's size {truth.size}, but got {predicted.size}")
        common = count_overlaps(_ids(truth), _ids(predicted), _known(truth), _known(predicted))
        counted = (("truth", common.sum(axis=1), truth), ("predicted", common.sum(axis=0), predicted))
        for whose, counts, image in counted:
            if isinstance(image, PanopticTruth):
                image.verify(counts.tolist())
            if counts[0]:
                unknown = sorted(set(np.unique(image.segment_ids).tolist()) - set(_known(image)))
                raise ValueError(f"{whose} holds segment ids {unknown[:5]} that are not among its segments")
        tallies = _match(common[1:, 1:], predicted, truth)
        for class_id, tally in tallies.items():
            self._tallies[class_id].add(tally)
        self._images += 1
        return mean([tally.figures()["pq"] for tally in tallies.values()])

    def merge(self, other: "PanopticEvaluator") -> None:
        """Add what another evaluator of the same labels has counted."""
        for mine, theirs in zip(self._tallies, other._tallies, strict=True):
            mine.add(theirs)
        self._images += other._images

    def tally(self, class_id: int) -> "Tally":
        """Return the counts of a class."""
        return self._tallies[class_id]

    def result(self) -> Evaluation:
        """Return `pq`, `sq`, `rq` and `pc`, the same with `_things` and `_stuff`; per class the four."""
        per_class = {label.name: tally.figures() for label, tally in zip(self._labels, self._tallies, strict=True)}
        metrics: dict[str, Figure] = {}
        for suffix, wanted in (("", (True, False)), ("_things", (True,)), ("_stuff", (False,))):
            names = [label.name for label in self._labels if label.isthing in wanted]
            for figure in ("pq", "sq", "rq", "pc"):
                metrics[figure + suffix] = mean([per_class[name][figure] for name in names])
        return Evaluation("panoptic", self._images, metrics, per_class)


class PanopticMeter:
    """PQ of panoptic maps."""

    technique: ClassVar[str] = "panoptic"
    shown: ClassVar[tuple[str, ...]] = ("pq", "sq", "rq", "pq_things", "pq_stuff", "pc")
    shown_across: ClassVar[tuple[str, ...]] = ("pq", "pq_things", "pq_stuff")
    verifies: ClassVar[bool] = True

    def __init__(self, match: ClassMatch, options: MeterOptions) -> None:  # noqa: ARG002 (every meter takes them)
        self._match = match
        self.evaluator = PanopticEvaluator(match.labels)

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count one image; return its PQ."""
        if not isinstance(truth, PanopticTruth):
            raise SegrtError("the data set has no panoptic truth; evaluate as semantic or instance")
        predicted = conversion.panoptic(prediction, self._match)
        conversion.check_same_size(_ids(predicted), truth.size)
        return self.evaluator.update(predicted, truth)

    def merge(self, other: "PanopticMeter") -> None:
        """Add another meter's counts."""
        self.evaluator.merge(other.evaluator)

    def result(self) -> Evaluation:
        """Return the figures."""
        return self.evaluator.result()


def _match(
    common: npt.NDArray[np.int64], predicted: PanopticResult | PanopticTruth, truth: PanopticTruth
) -> dict[int, Tally]:
    """Match on `common`, pixels shared by true segment (row) and predicted segment (column); 0 is void."""
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    true_areas, predicted_areas = common.sum(axis=1).tolist(), common.sum(axis=0).tolist()
    rows = common.tolist()
    void = rows[0]
    segments: Sequence[Segment | TruthSegment] = predicted.segments
    columns: defaultdict[int, list[int]] = defaultdict(list)
    for column, segment in enumerate(segments, start=1):
        columns[segment.class_id].append(column)
    matched: set[int] = set()
    crowds: dict[int, int] = {}
    for row, true in enumerate(truth.segments, start=1):
        if true.iscrowd:
            crowds[true.class_id] = row
            continue
        tally = tallies[true.class_id]
        is_matched, best = False, 0.0
        for column in columns[true.class_id]:
            shared = rows[row][column]
            if not shared:
                continue
            union = true_areas[row] + predicted_areas[column] - void[column] - shared
            best = max(best, shared / union)
            if 2 * shared > union:
                tally.ious.append(shared / union)
                matched.add(column)
                is_matched = True
        tally.area += true_areas[row]
        tally.covered.append(true_areas[row] * best)
        tally.false_negatives += not is_matched
    for column, segment in enumerate(segments, start=1):
        area = predicted_areas[column]
        if column in matched or area == 0:
            continue
        excused = void[column]
        if segment.class_id in crowds:
            excused += rows[crowds[segment.class_id]][column]
        if 2 * excused <= area:
            tallies[segment.class_id].false_positives += 1
    return tallies


def _ids(image: PanopticResult | PanopticTruth) -> npt.NDArray[Any]:
    return image.ids if isinstance(image, PanopticTruth) else image.segment_ids


def _known(image: PanopticResult | PanopticTruth) -> list[int]:
    """Return void and the segments' ids: the rows or columns of the counts."""
    return [0, *(segment.id for segment in image.segments)]
