"""Accuracy of a class for every pixel: IoU, boundary IoU, pixel accuracy, mean accuracy."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.evaluation import Evaluation, Figure, mean
from segrt.runtime.evaluate.metrics.boundary import boundary_band
from segrt.runtime.evaluate.metrics.meter import MeterOptions
from segrt.runtime.evaluate.truth import InstanceTruth, Truth
from segrt.runtime.postproc import count_overlaps
from segrt.runtime.results import Label
from segrt.runtime.results.semantic import class_map_dtype


class SemanticEvaluator:
    """Counts, over any number of images, which true class was taken for which.

    Over all pixels with a true class: IoU of a class = TP / (TP + FP + FN), mIoU its mean over the classes that the
    truth has (Everingham et al. 2010, the VOC measure, and detectron2's sem_seg_evaluation.py); pixel accuracy = right
    pixels / all pixels; accuracy of a class = TP / (TP + FN), mean accuracy its mean; frequency-weighted IoU = the sum
    over classes of IoU times the class's share of the true pixels (Long et al. 2015). A pixel predicted as void is
    wrong: it is missed by its class and taken for none.

    With `boundary` also boundary IoU: the same IoU over the pixels that lie within 2 % of the picture's diagonal of
    their region's edge (Cheng et al. 2021), summed over the images; void of the truth is left out.
    """

    def __init__(self, labels: Sequence[Label], *, boundary: bool = False) -> None:
        self._labels = tuple(labels)
        self._images = 0
        self.void = 0  # pixels without a true class
        self._boundary = boundary
        classes = len(self._labels)
        # Row: true class. Column: predicted class, the last one void.
        self.confusion: npt.NDArray[np.int64] = np.zeros((classes, classes + 1), dtype=np.int64)
        # Pixels on boundaries, class by class: on both, on the truth's, on the prediction's.
        self.edges: npt.NDArray[np.int64] = np.zeros((3, classes), dtype=np.int64)

    def update(self, predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Figure:
        """Count one image, two class maps (H, W) of uint8, uint16 or int32; return the image's own mIoU.

        What is no class id is void: in the truth it is not counted, in the prediction it is wrong.
        """
        if predicted.shape != truth.shape:
            raise ValueError(f"predicted must have the truth's shape {truth.shape}, but got {predicted.shape}")
        classes = range(len(self._labels))
        shared = count_overlaps(truth, predicted, classes, classes)
        counts = np.concatenate([shared[1:, 1:], shared[1:, :1]], axis=1)
        self.confusion += counts
        self.void += int(shared[0].sum())
        if self._boundary:
            self.edges += self._count_edges(predicted, truth)
        self._images += 1
        return mean(list(_ious(counts)))

    def merge(self, other: "SemanticEvaluator") -> None:
        """Add what another evaluator of the same labels has counted."""
        self.confusion += other.confusion
        self.edges += other.edges
        self.void += other.void
        self._images += other._images

    def _count_edges(self, predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        count = len(self._labels)
        predicted, truth = self._classes_or_void(predicted), self._classes_or_void(truth)
        void = np.iinfo(truth.dtype).max
        true = np.where(boundary_band(truth), truth, void).astype(truth.dtype)
        taken = (truth < count) & boundary_band(predicted)
        predicted = np.where(taken, predicted, void).astype(truth.dtype)
        shared = count_overlaps(true, predicted, range(count), range(count))
        return np.stack([np.diagonal(shared)[1:], shared[1:].sum(axis=1), shared[:, 1:].sum(axis=0)])

    def _classes_or_void(self, class_map: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return `class_map` as uint8 or uint16, in which all that is no class id is the highest number."""
        dtype = class_map_dtype(len(self._labels))
        is_class = (class_map >= 0) & (class_map < len(self._labels))
        return np.where(is_class, class_map, np.iinfo(dtype).max).astype(dtype)

    def result(self) -> Evaluation:
        """Return `miou`, `fwiou`, `pixel_accuracy`, `mean_accuracy`, `boundary_iou`; per class `iou` and the like."""
        right = np.diagonal(self.confusion).astype(np.float64)
        true = self.confusion.sum(axis=1).astype(np.float64)
        ious = _ious(self.confusion)
        both, true_edges, predicted_edges = self.edges.astype(np.float64)
        per_class: dict[str, dict[str, Figure]] = {}
        for index, label in enumerate(self._labels):
            figures = per_class[label.name] = {
                "iou": ious[index],
                "accuracy": float(right[index] / true[index]) if true[index] else None,
            }
            if self._boundary:
                union = true_edges[index] + predicted_edges[index] - both[index]
                figures["boundary_iou"] = float(both[index] / union) if true[index] and union else None
        total = float(true.sum())
        weighted = [share * iou for share, iou in zip(true.tolist(), ious, strict=True) if iou is not None]
        metrics: dict[str, Figure] = {
            "miou": mean(list(ious)),
            "fwiou": sum(weighted) / total if total else None,
            "pixel_accuracy": float(right.sum() / total) if total else None,
            "mean_accuracy": mean([figures["accuracy"] for figures in per_class.values()]),
        }
        if self._boundary:
            metrics["boundary_iou"] = mean([figures["boundary_iou"] for figures in per_class.values()])
        return Evaluation("semantic", self._images, metrics, per_class)


class SemanticMeter:
    """mIoU of class maps."""

    technique: ClassVar[str] = "semantic"
    shown: ClassVar[tuple[str, ...]] = ("miou", "fwiou", "boundary_iou", "pixel_accuracy", "mean_accuracy")
    shown_across: ClassVar[tuple[str, ...]] = ("miou", "pixel_accuracy")
    verifies: ClassVar[bool] = False

    def __init__(self, match: ClassMatch, options: MeterOptions) -> None:
        """Raise SegrtError for one class alone: all else would be void, where no mistake counts."""
        if len(match.labels) < 2:
            raise SegrtError(
                f"{match.labels[0].name!r} is the only class to evaluate, and what is mistaken for it would be void; "
                "give the rest a class, too (background), in the labels of both sides"
            )
        self._match = match
        self.evaluator = SemanticEvaluator(match.labels, boundary=options.boundary)

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count one image; return its mIoU."""
        if isinstance(truth, InstanceTruth):
            raise SegrtError("the data set has no class for every pixel; evaluate as instance")
        predicted, true = conversion.class_map(prediction, self._match), truth.class_map()
        conversion.check_same_size(predicted, true.shape)
        return self.evaluator.update(predicted, true)

    def merge(self, other: "SemanticMeter") -> None:
        """Add another meter's counts."""
        self.evaluator.merge(other.evaluator)

    def result(self) -> Evaluation:
        """Return the figures."""
        return self.evaluator.result()


def _ious(confusion: npt.NDArray[np.int64]) -> list[Figure]:
    """Return each class's IoU from a confusion matrix (C, C + 1), None for a class that the truth lacks."""
    right, true = np.diagonal(confusion), confusion.sum(axis=1)
    union = true + confusion[:, :-1].sum(axis=0) - right
    return [float(r / u) if t else None for r, t, u in zip(right, true, union, strict=True)]
