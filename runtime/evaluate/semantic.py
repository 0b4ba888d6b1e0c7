"""Accuracy of a class for every pixel: IoU, pixel accuracy, mean accuracy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.evaluation import Evaluation, Figure, mean
from segrt.runtime.results import Label


class SemanticEvaluator:
    """Counts, over any number of images, which true class was taken for which.

    Over all pixels with a true class: IoU of a class = TP / (TP + FP + FN), mIoU its mean over the classes that the
    truth has (Everingham et al. 2010, the VOC measure, and detectron2's sem_seg_evaluation.py); pixel accuracy = right
    pixels / all pixels; accuracy of a class = TP / (TP + FN), mean accuracy its mean. A pixel predicted as void is
    wrong: it is missed by its class and taken for none.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = tuple(labels)
        self._images = 0
        classes = len(self._labels)
        # Row: true class. Column: predicted class, the last one void.
        self.confusion: npt.NDArray[np.int64] = np.zeros((classes, classes + 1), dtype=np.int64)

    def update(self, predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
        """Count one image: two class maps (H, W) of unsigned integers.

        What is no class id is void: in the truth it is not counted, in the prediction it is wrong.
        """
        if predicted.shape != truth.shape:
            raise ValueError(f"predicted must have the truth's shape {truth.shape}, but got {predicted.shape}")
        classes = len(self._labels)
        known = truth < classes
        row = truth[known].astype(np.int64)
        column = np.minimum(predicted[known], classes).astype(np.int64)
        counts = np.bincount(row * (classes + 1) + column, minlength=self.confusion.size)
        self.confusion += counts.reshape(self.confusion.shape)
        self._images += 1

    def result(self) -> Evaluation:
        """Return `miou`, `pixel_accuracy`, `mean_accuracy`; per class `iou`, `accuracy`."""
        classes = len(self._labels)
        right = np.diagonal(self.confusion).astype(np.float64)
        true = self.confusion.sum(axis=1).astype(np.float64)
        predicted = self.confusion[:, :classes].sum(axis=0).astype(np.float64)
        per_class: dict[str, dict[str, Figure]] = {}
        for index, label in enumerate(self._labels):
            there = true[index] > 0
            union = true[index] + predicted[index] - right[index]
            per_class[label.name] = {
                "iou": float(right[index] / union) if there else None,
                "accuracy": float(right[index] / true[index]) if there else None,
            }
        metrics: dict[str, Figure] = {
            "miou": mean([figures["iou"] for figures in per_class.values()]),
            "pixel_accuracy": float(right.sum() / true.sum()) if true.sum() else None,
            "mean_accuracy": mean([figures["accuracy"] for figures in per_class.values()]),
        }
        return Evaluation("semantic", self._images, metrics, per_class)
