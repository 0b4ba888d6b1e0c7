"""Segmentation and tracking quality (Weber et al. 2021, STEP: Segmenting and Tracking Every Pixel).

The ways in detail are those of deeplab2's evaluation/numpy/segmentation_and_tracking_quality.py.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.clips.frame_counts import FrameCounts
from segrt.runtime.evaluate.evaluation import Figure
from segrt.runtime.results import Label

_Tube = tuple[int, int]  # class, lasting id


class StepEvaluator:
    """Counts pixels by class, and pixels of things by tube, over whole clips.

    SQ is the mean IoU of classes over all pixels, stuff and things, whose true class is known. A pixel that is
    predicted as void is of one class more, which is always wrong and counts in the mean where it occurs. AQ is the mean
    over true tubes g of things of 1 / |g| times the sum over predicted tubes p of TPA(p, g) * IoU(p, g), TPA being the
    pixels that they share over the clip. STQ is the geometric mean of the two. Pixels of crowds of things are left out
    of AQ; a track whose class changes is a tube of each class.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = tuple(labels)
        self._things = np.array([label.isthing for label in labels], np.bool_)
        classes = len(self._labels)
        # Row: true class. Column: predicted class, the last one void.
        self._confusion: npt.NDArray[np.int64] = np.zeros((classes, classes + 1), np.int64)
        self._association: list[float] = []  # of each true tube
        self._clear_clip()

    def _clear_clip(self) -> None:
        self._true: Counter[_Tube] = Counter()
        self._predicted: Counter[_Tube] = Counter()
        self._shared: Counter[tuple[_Tube, _Tube]] = Counter()

    def begin_clip(self) -> None:
        """End the clip before, if any."""
        values: dict[_Tube, float] = dict.fromkeys(self._true, 0.0)
        for (true, predicted), shared in self._shared.items():
            union = self._true[true] + self._predicted[predicted] - shared
            values[true] += shared * (shared / union)
        self._association += [value / self._true[true] for true, value in values.items()]
        self._clear_clip()

    def update(self, frame: FrameCounts) -> None:
        """Add the next frame of the clip."""
        true, predicted, shared = frame.true, frame.predicted, frame.shared
        columns = np.append(len(self._labels), predicted.classes)
        np.add.at(self._confusion, (true.classes[:, None], columns[None, :]), shared[1:])
        is_crowd = true.crowd & self._things[true.classes]
        judged = shared[np.append(True, ~is_crowd)]  # void of the truth counts against predicted things
        tubes: list[_Tube] = list(zip(true.classes.tolist(), true.ids.tolist(), strict=True))
        found: list[_Tube] = list(zip(predicted.classes.tolist(), predicted.ids.tolist(), strict=True))
        rows = np.flatnonzero(self._things[true.classes] & ~is_crowd)
        things = np.flatnonzero(self._things[predicted.classes])
        for row in rows.tolist():
            self._true[tubes[row]] += int(shared[1 + row].sum())
        for column in things.tolist():
            area = int(judged[:, 1 + column].sum())
            if area:
                self._predicted[found[column]] += area
        both = shared[1:, 1:][np.ix_(rows, things)]
        for row, column in np.argwhere(both).tolist():
            self._shared[tubes[rows[row]], found[things[column]]] += int(both[row, column])

    def merge(self, other: "StepEvaluator") -> None:
        """Add what another evaluator of the same labels has counted, on other clips."""
        self.begin_clip()
        other.begin_clip()
        self._confusion += other._confusion
        self._association += other._association

    def result(self) -> tuple[dict[str, Figure], dict[str, dict[str, Figure]]]:
        """Return `stq`, `aq` and `stq_iou`; per class `iou`."""
        self.begin_clip()
        classes = len(self._labels)
        right = np.append(np.diagonal(self._confusion), 0)
        union = np.append(self._confusion.sum(axis=1), 0) + self._confusion.sum(axis=0) - right
        present = union > 0
        ious = right / np.maximum(union, 1)
        segmentation = float(ious.sum() / present.sum()) if present.any() else None
        count = len(self._association)
        association = math.fsum(self._association) / count if count else None
        both = None if association is None or segmentation is None else math.sqrt(association * segmentation)
        per_class: dict[str, dict[str, Figure]] = {
            self._labels[index].name: {"iou": float(ious[index]) if present[index] else None}
            for index in range(classes)
        }
        return {"stq": both, "aq": association, "stq_iou": segmentation}, per_class
