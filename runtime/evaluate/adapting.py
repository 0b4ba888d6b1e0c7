"""Turning results into what the evaluators take: class ids of the data set in place of the model's."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import InstanceResult, Label, PanopticResult, SemanticResult
from segrt.runtime.results.semantic import class_map_dtype


def class_map(result: SemanticResult, positions: npt.NDArray[np.int64], classes: int) -> npt.NDArray[Any]:
    """Return the result's class map with class id i replaced by `positions[i]`; void becomes the dtype's highest."""
    dtype = class_map_dtype(classes)
    table = np.full(int(np.iinfo(result.class_map.dtype).max) + 1, np.iinfo(dtype).max, dtype=dtype)
    table[: len(positions)] = positions
    mapped: npt.NDArray[Any] = table[result.class_map]
    return mapped


def detections(result: InstanceResult, positions: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the result's objects as `InstanceEvaluator.update` wants them."""
    return [
        {"category_id": int(positions[int(class_id)]), "score": float(score), "segmentation": dict(encoded)}
        for class_id, score, encoded in zip(result.class_ids, result.scores, result.rles, strict=True)
    ]


def panoptic(result: PanopticResult, positions: npt.NDArray[np.int64], labels: tuple[Label, ...]) -> PanopticResult:
    """Return the result in the data set's classes; the map is shared."""
    segments = [replace(segment, class_id=int(positions[segment.class_id])) for segment in result.segments]
    return PanopticResult(result.segment_ids, segments, labels, result.timings)
