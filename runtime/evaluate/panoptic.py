"""Panoptic quality, exactly as panopticapi counts it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.evaluation import Evaluation, Figure, mean
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.results import Label, PanopticResult
from segrt.runtime.results.remap import remap

_UNKNOWN = 0xFFFF


class PanopticEvaluator:
    """Matches segments of prediction and truth and sums up, class by class.

    A predicted and a true segment of one class match when their IoU is above 0.5, void pixels of the truth left out of
    the union. Per class, PQ = sum of matched IoUs / (TP + FP / 2 + FN / 2), SQ = sum of matched IoUs / TP, RQ = TP /
    (TP + FP / 2 + FN / 2) (Kirillov et al. 2019, eq. 1 and 2); the figures over several classes are means over those
    with any segment. As in panopticapi's evaluation.py, crowds are never matched nor missed, and an unmatched
    prediction that lies by more than half on void or on a crowd of its class is not counted; where an image has
    several crowds of a class, the last one counts.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = tuple(labels)
        self._images = 0
        classes = len(self._labels)
        self.iou_sum = np.zeros(classes, dtype=np.float64)
        self.true_positives = np.zeros(classes, dtype=np.int64)
        self.false_positives = np.zeros(classes, dtype=np.int64)
        self.false_negatives = np.zeros(classes, dtype=np.int64)

    def update(self, predicted: PanopticResult, truth: PanopticTruth) -> None:
        """Count one image; the class ids of both are positions in the evaluator's labels.

        Raises ValueError when the sizes differ, or a map holds an id that is not among its segments.
        """
        if predicted.size != truth.size:
            raise ValueError(f"predicted must have the truth's size {truth.size}, but got {predicted.size}")
        rows = _index(truth.segment_ids, [segment.id for segment in truth.segments], "truth")
        columns = _index(predicted.segment_ids, [segment.id for segment in predicted.segments], "predicted")
        shape = (len(truth.segments) + 1, len(predicted.segments) + 1)
        joint = rows.astype(np.int32) * np.int32(shape[1]) + columns
        common = np.bincount(joint.reshape(-1), minlength=shape[0] * shape[1]).reshape(shape)
        self._count(common, predicted, truth)
        self._images += 1

    def _count(self, common: npt.NDArray[Any], predicted: PanopticResult, truth: PanopticTruth) -> None:
        """Match on `common`, pixels shared by true segment (row) and predicted segment (column); 0 is void."""
        true_areas, predicted_areas = common.sum(axis=1), common.sum(axis=0)
        matched: set[int] = set()
        crowds: dict[int, int] = {}
        for row, true in enumerate(truth.segments, start=1):
            if true.iscrowd:
                crowds[true.class_id] = row
                continue
            found = False
            for column in (np.flatnonzero(common[row, 1:]) + 1).tolist():
                if predicted.segments[column - 1].class_id != true.class_id:
                    continue
                shared = int(common[row, column])
                union = int(true_areas[row] + predicted_areas[column] - common[0, column]) - shared
                if 2 * shared > union:
                    self.iou_sum[true.class_id] += shared / union
                    self.true_positives[true.class_id] += 1
                    matched.add(column)
                    found = True
            if not found:
                self.false_negatives[true.class_id] += 1
        for column, segment in enumerate(predicted.segments, start=1):
            area = int(predicted_areas[column])
            if column in matched or area == 0:
                continue
            excused = int(common[0, column])
            if segment.class_id in crowds:
                excused += int(common[crowds[segment.class_id], column])
            if 2 * excused <= area:
                self.false_positives[segment.class_id] += 1

    def result(self) -> Evaluation:
        """Return `pq`, `sq`, `rq`, the same with `_things` and `_stuff`; per class `pq`, `sq`, `rq` and the counts."""
        per_class: dict[str, dict[str, Figure]] = {}
        for index, label in enumerate(self._labels):
            hits = int(self.true_positives[index])
            weight = hits + 0.5 * int(self.false_positives[index]) + 0.5 * int(self.false_negatives[index])
            iou_sum = float(self.iou_sum[index])
            per_class[label.name] = {
                "pq": iou_sum / weight if weight else None,
                "sq": (iou_sum / hits if hits else 0.0) if weight else None,
                "rq": hits / weight if weight else None,
            }
        metrics: dict[str, Figure] = {}
        for suffix, wanted in (("", (True, False)), ("_things", (True,)), ("_stuff", (False,))):
            names = [label.name for label in self._labels if label.isthing in wanted]
            for figure in ("pq", "sq", "rq"):
                metrics[figure + suffix] = mean([per_class[name][figure] for name in names])
        return Evaluation("panoptic", self._images, metrics, per_class)


def _index(ids: npt.NDArray[Any], known: list[int], whose: str) -> npt.NDArray[Any]:
    """Return `ids` (H, W) as positions in `known` plus 1, 0 for void."""
    table = {identity: position for position, identity in enumerate(known, start=1)}
    table[0] = 0
    index = remap(ids, table, default=_UNKNOWN, dtype=np.uint16)
    if int(index.max()) == _UNKNOWN:
        strange = sorted(set(np.unique(ids).tolist()) - set(table))
        raise ValueError(f"{whose} holds segment ids {strange[:5]} that are not among its segments")
    return index
