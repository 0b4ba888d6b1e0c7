"""Average precision of objects, computed by faster-coco-eval as COCO defines it."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.evaluation import Evaluation, Figure
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
    """

    def __init__(self, labels: Sequence[Label], *, kind: Literal["segm", "bbox"] = "segm") -> None:
        self._labels = tuple(labels)
        self._kind = kind
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
        # COCO's reader takes a detection's area from its box where it has one; for masks the area is the mask's.
        keys = ("category_id", "score", "segmentation" if self._kind == "segm" else "bbox")
        self._detections.extend({**{key: entry[key] for key in keys}, "image_id": image_id} for entry in predicted)

    def result(self) -> Evaluation:
        """Return `ap`, `ap50`, `ap75`, by size and the recalls `ar1` to `ar_large`; per class `ap`, `ap50`, `ap75`."""
        from faster_coco_eval import COCO, COCOeval_faster

        content = {
            "images": self._images,
            "annotations": self._truths,
            "categories": [{"id": index, "name": label.name} for index, label in enumerate(self._labels)],
        }
        truth = COCO(content)
        # An evaluation writes into its annotations; result() can be asked for again.
        found = [dict(entry) for entry in self._detections]
        # Before 1.7 the library's reader wants at least one result.
        detections = truth.loadRes(found) if found else COCO({**content, "annotations": []})
        evaluation = COCOeval_faster(truth, detections, iouType=self._kind, print_function=_silent)
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

        metrics = {name: figure(name, slice(None)) for name in _FIGURES}
        per_class = {
            label.name: {name: figure(name, index) for name in ("ap", "ap50", "ap75")}
            for index, label in enumerate(self._labels)
        }
        return Evaluation("instance", len(self._images), metrics, per_class)


def _mean_of_known(values: npt.NDArray[Any]) -> Figure:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _silent(*_: object) -> None:
    """Take the place of the library's print."""
