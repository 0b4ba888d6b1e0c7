"""Average precision of objects, computed by faster-coco-eval as COCO defines it."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch, thing_positions
from segrt.runtime.evaluate.conversion import Detections, Prediction
from segrt.runtime.evaluate.evaluation import Evaluation, Figure
from segrt.runtime.evaluate.metrics.boundary import boundary_evaluation
from segrt.runtime.evaluate.metrics.image_quality import image_quality
from segrt.runtime.evaluate.metrics.meter import MeterOptions
from segrt.runtime.evaluate.truth import SemanticTruth, Truth
from segrt.runtime.results import Label

# Figure: (which array, IoU threshold or None for the mean of 0.50 to 0.95, range of area, place in maxDets 1, 10, 100).
_FIGURES: dict[str, tuple[str, float | None, str, int]] = {
    "ap": ("precision", None, "all", 2),
    "ap50": ("precision", 0.5, "all", 2),
    "ap75": ("precision", 0.75, "all", 2),
    "ap_small": ("precision", None, "small", 2),
    "ap_medium": ("precision", None, "medium", 2),
    "ap_large": ("precision", None, "large", 2),
    "ar1": ("recall", None, "all", 0),
    "ar10": ("recall", None, "all", 1),
    "ar100": ("recall", None, "all", 2),
    "ar_small": ("recall", None, "small", 2),
    "ar_medium": ("recall", None, "medium", 2),
    "ar_large": ("recall", None, "large", 2),
}


class InstanceEvaluator:
    """Gathers objects of prediction and truth; computes COCO's twelve figures in the end.

    AP is the mean over classes, over IoU thresholds 0.50 to 0.95 in steps of 0.05, and over 101 points of recall, of
    the interpolated precision of the at most 100 best detections of an image (https://cocodataset.org/#detection-eval).
    Small is below 32², large above 96² pixels. Crowds are neither found nor missed.

    Of masks whose detections have boxes too, `bbox_ap` is AP with the boxes' IoU. With `boundary` also `boundary_ap`:
    the IoU is the smaller one of the masks' and of their boundaries' (Cheng et al. 2021).
    """

    def __init__(
        self, labels: Sequence[Label], *, kind: Literal["segm", "bbox"] = "segm", boundary: bool = False
    ) -> None:
        self._labels = tuple(labels)
        self._kind = kind
        self._boundary = boundary
        self._images: list[dict[str, Any]] = []
        self._truths: list[dict[str, Any]] = []
        self._detections: list[dict[str, Any]] = []

    def update(
        self,
        predicted: Sequence[dict[str, Any]],
        truth: Sequence[dict[str, Any]],
        size: tuple[int, int],
    ) -> None:
        """Add one image of (height, width).

        Args:
            predicted: `category_id` (a position in the labels), `score`, and `segmentation` (RLE) or `bbox` (x, y,
                width, height), by the evaluator's kind.
            truth: `category_id`, `iscrowd`, `area`, `bbox`, and for masks `segmentation` (RLE or polygons).
            size: of the picture.
        """
        image_id = len(self._images) + 1
        self._images.append({"id": image_id, "height": int(size[0]), "width": int(size[1])})
        for entry in truth:
            kept = {**entry, "image_id": image_id, "id": len(self._truths) + 1}
            self._truths.append(kept)
        keys = ("category_id", "score", "segmentation", "bbox")
        self._detections.extend(
            {**{key: entry[key] for key in keys if key in entry}, "image_id": image_id} for entry in predicted
        )

    def merge(self, other: "InstanceEvaluator") -> None:
        """Add what another evaluator of the same labels and kind has gathered, its images after this one's."""
        images, truths = len(self._images), len(self._truths)
        self._images += [{**entry, "id": entry["id"] + images} for entry in other._images]
        for entry in other._truths:
            self._truths.append({**entry, "id": entry["id"] + truths, "image_id": entry["image_id"] + images})
        self._detections += [{**entry, "image_id": entry["image_id"] + images} for entry in other._detections]

    def result(self) -> Evaluation:
        """Return `ap`, `ap50`, `ap75`, by size and the recalls `ar1` to `ar_large`; per class `ap`, `ap50`, `ap75`.

        With masks also `bbox_` and `boundary_` `ap`, `ap50`, `ap75`, as far as they were asked for and can be had.
        """
        metrics, per_class = self._evaluate(self._kind, "", list(_FIGURES))
        more: list[Literal["bbox", "boundary"]] = []
        if self._kind == "segm" and self._detections and all("bbox" in entry for entry in self._detections):
            more.append("bbox")
        if self._kind == "segm" and self._boundary:
            more.append("boundary")
        for kind in more:
            figures, by_class = self._evaluate(kind, f"{kind}_", ["ap", "ap50", "ap75"])
            metrics |= figures
            for name, values in by_class.items():
                per_class[name] |= values
        return Evaluation("instance", len(self._images), metrics, per_class)

    def _evaluate(
        self, kind: Literal["segm", "bbox", "boundary"], prefix: str, names: list[str]
    ) -> tuple[dict[str, Figure], dict[str, dict[str, Figure]]]:
        from faster_coco_eval import COCO, COCOeval_faster

        # An evaluation writes into its annotations; every one gets its own.
        content = {
            "images": self._images,
            "annotations": [dict(entry) for entry in self._truths],
            "categories": [{"id": index, "name": label.name} for index, label in enumerate(self._labels)],
        }
        truth = COCO(content)
        # COCO's reader takes a detection's area from its box where it has one; for masks the area is the mask's.
        unused = "segmentation" if kind == "bbox" else "bbox"
        results = [{key: value for key, value in entry.items() if key != unused} for entry in self._detections]
        # Before 1.7 the library's reader wants at least one result.
        detections = truth.loadRes(results) if results else COCO({**content, "annotations": []})
        if kind == "boundary":
            evaluation = boundary_evaluation(truth, detections, print_function=_silent)
        else:
            evaluation = COCOeval_faster(truth, detections, iouType=kind, print_function=_silent)
        evaluation.evaluate()
        evaluation.accumulate()
        arrays = {
            "precision": np.asarray(evaluation.eval["precision"], dtype=np.float64),
            "recall": np.asarray(evaluation.eval["recall"], dtype=np.float64)[:, None],
        }
        thresholds = np.asarray(evaluation.params.iouThrs)
        ranges = list(evaluation.params.areaRngLbl)

        def figure(name: str, class_index: int | slice) -> Figure:
            array, threshold, area, place = _FIGURES[name]
            # (IoU thresholds, recall points, classes, ranges of area, maxDets); -1 where there was nothing to find.
            values = arrays[array][:, :, class_index, ranges.index(area), place]
            if threshold is not None:
                values = values[np.isclose(thresholds, threshold)]
            return _mean_of_known(values)

        metrics = {prefix + name: figure(name, slice(None)) for name in names}
        per_class = {
            label.name: {prefix + name: figure(name, index) for name in ("ap", "ap50", "ap75")}
            for index, label in enumerate(self._labels)
        }
        return metrics, per_class


class InstanceMeter:
    """AP of objects; stuff is left out."""

    technique: ClassVar[str] = "instance"
    shown: ClassVar[tuple[str, ...]] = (
        "ap",
        "ap50",
        "ap75",
        "ap_small",
        "ap_medium",
        "ap_large",
        "bbox_ap",
        "boundary_ap",
    )
    shown_across: ClassVar[tuple[str, ...]] = ("ap", "ap50")
    verifies: ClassVar[bool] = False

    def __init__(self, match: ClassMatch, options: MeterOptions) -> None:
        self._match = match
        self._has_masks = options.kind == "segm"
        self._rank = options.rank
        kept = thing_positions(match.labels)
        self._place = {position: place for place, position in enumerate(kept)}
        labels = [match.labels[index] for index in kept]
        self.evaluator = InstanceEvaluator(labels, kind=options.kind, boundary=options.boundary)

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Gather one image's objects; return its `image_quality` where images are to be ranked."""
        if isinstance(truth, SemanticTruth):
            raise SegrtError("the data set tells no objects apart; evaluate as semantic")
        objects = self._of_things(truth.objects())
        if self._has_masks and any("segmentation" not in entry for entry in objects):
            raise SegrtError("the data set has objects without masks; mask AP needs them")
        detections = self._of_things(conversion.detections(prediction, self._match))
        self.evaluator.update(detections, objects, truth.size)
        return image_quality(detections, objects, truth.size) if self._rank and self._has_masks else None

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


def _mean_of_known(values: npt.NDArray[Any]) -> Figure:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _silent(*_: object) -> None:
    """Take the place of the library's print."""
