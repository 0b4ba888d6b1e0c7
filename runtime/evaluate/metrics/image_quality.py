"""The quality of one image's objects, by which the worst images of an instance evaluation are found."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.conversion import Detections
from segrt.runtime.evaluate.evaluation import Figure
from segrt.runtime.results import rle

SURE = 0.5


def image_quality(detections: Detections, objects: Detections, size: tuple[int, int]) -> Figure:
    """Return one image's sum of matched IoUs / (TP + FP / 2 + FN / 2), PQ's formula, for objects that may overlap.

    Detections that score above 0.5 take, best first, the free true object of their class with the highest IoU, which
    must be above 0.5. None where there is nothing to find and nothing was found, or masks are polygons.
    """
    sure = sorted((entry for entry in detections if entry["score"] > SURE), key=lambda entry: -entry["score"])
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
