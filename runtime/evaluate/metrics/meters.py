"""One meter per technique: what of a prediction and a truth goes into its evaluator. A new metric is a meter here."""

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch, things
from segrt.runtime.evaluate.conversion import Detections, Prediction
from segrt.runtime.evaluate.evaluation import Evaluation, Figure
from segrt.runtime.evaluate.metrics.average_precision import InstanceEvaluator
from segrt.runtime.evaluate.metrics.class_iou import SemanticEvaluator
from segrt.runtime.evaluate.metrics.panoptic_quality import PanopticEvaluator
from segrt.runtime.evaluate.truth import InstanceTruth, PanopticTruth, SemanticTruth, Truth
from segrt.runtime.results import rle

SURE = 0.5


class Meter(Protocol):
    """Measures one technique; `update` returns the image's own figure, by which the worst images are found."""

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count one image; `truth` is in the classes that are evaluated."""

    def merge(self, other: Any) -> None:
        """Add what a meter of the same kind has counted, on images that follow."""

    def result(self) -> Evaluation:
        """Return the figures."""


class SemanticMeter:
    """mIoU of class maps."""

    def __init__(self, match: ClassMatch, *, boundary: bool = False) -> None:
        self._match = match
        self.evaluator = SemanticEvaluator(match.labels, boundary=boundary)

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count one image; return its mIoU."""
        if isinstance(truth, InstanceTruth):
            raise SegrtError("the data set has no class for every pixel; evaluate as instance")
        found, true = conversion.class_map(prediction, self._match), truth.class_map()
        check_same_size(found, true.shape)
        return self.evaluator.update(found, true)

    def merge(self, other: "SemanticMeter") -> None:
        """Add another meter's counts."""
        self.evaluator.merge(other.evaluator)

    def result(self) -> Evaluation:
        """Return the figures."""
        return self.evaluator.result()


class InstanceMeter:
    """AP of objects; stuff is left out."""

    def __init__(
        self,
        match: ClassMatch,
        *,
        kind: Literal["segm", "bbox"] = "segm",
        boundary: bool = False,
        rank: bool = False,
    ) -> None:
        self._match = match
        self._kind = kind
        self._rank = rank
        kept = things(match.labels)
        self._place = {position: place for place, position in enumerate(kept)}
        self.evaluator = InstanceEvaluator([match.labels[index] for index in kept], kind=kind, boundary=boundary)

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Gather one image's objects; return its `image_quality` where images are to be ranked."""
        if isinstance(truth, SemanticTruth):
            raise SegrtError("the data set tells no objects apart; evaluate as semantic")
        objects = self._of_things(truth.objects())
        if self._kind == "segm" and any("segmentation" not in entry for entry in objects):
            raise SegrtError("the data set has objects without masks; mask AP needs them")
        found = self._of_things(conversion.detections(prediction, self._match))
        self.evaluator.update(found, objects, truth.size)
        return image_quality(found, objects, truth.size) if self._rank and self._kind == "segm" else None

    def merge(self, other: "InstanceMeter") -> None:
        """Add another meter's objects."""
        self.evaluator.merge(other.evaluator)

    def result(self) -> Evaluation:
        """Return the figures."""
        return self.evaluator.result()

    def _of_things(self, objects: Detections) -> Detections:
        return [
            {**entry, "category_id": self._place[entry["category_id"]]}
            for entry in objects
            if entry["category_id"] in self._place
        ]


class PanopticMeter:
    """PQ."""

    def __init__(self, match: ClassMatch) -> None:
        self._match = match
        self.evaluator = PanopticEvaluator(match.labels)

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count one image; return its PQ."""
        if not isinstance(truth, PanopticTruth):
            raise SegrtError("the data set has no panoptic truth; evaluate as semantic or instance")
        found = conversion.panoptic(prediction, self._match)
        ids = found.ids if isinstance(found, PanopticTruth) else found.segment_ids
        check_same_size(ids, truth.size)
        return self.evaluator.update(found, truth)

    def merge(self, other: "PanopticMeter") -> None:
        """Add another meter's counts."""
        self.evaluator.merge(other.evaluator)

    def result(self) -> Evaluation:
        """Return the figures."""
        return self.evaluator.result()


def check_same_size(found: npt.NDArray[Any], size: tuple[int, ...]) -> None:
    """Raise SegrtError when a predicted map is not of the truth's (height, width)."""
    if found.shape[:2] != tuple(size[:2]):
        raise SegrtError(
            f"the prediction is {found.shape[1]}x{found.shape[0]} pixels, but the truth {size[1]}x{size[0]}"
        )


def image_quality(found: Detections, objects: Detections, size: tuple[int, int]) -> Figure:
    """Return one image's sum of matched IoUs / (TP + FP / 2 + FN / 2), PQ's formula, for objects that may overlap.

    Detections that score above 0.5 take, best first, the free true object of their class with the highest IoU, which
    must be above 0.5. None where there is nothing to find and nothing was found, or masks are polygons.
    """
    sure = sorted((entry for entry in found if entry["score"] > SURE), key=lambda entry: -entry["score"])
    true = [entry for entry in objects if not entry.get("iscrowd")]
    if not sure and not true:
        return None
    if any(not _is_packed(entry["segmentation"]) for entry in (*sure, *true)):
        return None
    masks = [_bits(entry, size) for entry in true]
    free = set(range(len(true)))
    total = 0.0
    for entry in sure:
        mask = _bits(entry, size)
        best, chosen = SURE, None
        for index in free:
            if true[index]["category_id"] == entry["category_id"]:
                shared = int(np.count_nonzero(mask & masks[index]))
                iou = shared / max(1, int(np.count_nonzero(mask | masks[index])))
                if iou > best:
                    best, chosen = iou, index
        if chosen is not None:
            free.remove(chosen)
            total += best
    return total / (0.5 * len(sure) + 0.5 * len(true))


def _is_packed(code: Any) -> bool:
    return isinstance(code, dict) and isinstance(code.get("counts"), str | bytes)


def _bits(entry: dict[str, Any], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    counts = entry["segmentation"]["counts"]
    packed = counts.encode("ascii") if isinstance(counts, str) else counts
    return rle.decode({"size": list(size), "counts": packed})
