"""Turning predictions and truths into what the evaluators take, in the classes that are evaluated."""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.truth import InstanceTruth, PanopticTruth, SemanticTruth, Truth
from segrt.runtime.results import InstanceResult, PanopticResult, SemanticResult
from segrt.runtime.results.remap import remap
from segrt.runtime.results.semantic import class_map_dtype

Detections = list[dict[str, Any]]
# A result of a segmenter; of files, a panoptic map as read, or detections with positions as category_id.
Prediction = SemanticResult | InstanceResult | PanopticResult | PanopticTruth | Detections
_Panoptic = TypeVar("_Panoptic", PanopticResult, PanopticTruth)


def class_map(prediction: Prediction, match: ClassMatch) -> npt.NDArray[Any]:
    """Return the class of each pixel, a position in `match.labels`; void and classes left out become the highest."""
    if isinstance(prediction, PanopticTruth):
        return _mapped(prediction.class_map(), match.model, len(match.labels))
    if isinstance(prediction, PanopticResult):
        prediction = prediction.to_semantic()
    if not isinstance(prediction, SemanticResult):
        raise SegrtError("an instance result has no class for every pixel; evaluate it as instance")
    return _mapped(prediction.class_map, match.model, len(match.labels))


def detections(prediction: Prediction, match: ClassMatch) -> Detections:
    """Return the objects as `InstanceEvaluator.update` wants them, category_id a position in `match.labels`."""
    if isinstance(prediction, list):
        return _placed(prediction, match.model)
    if isinstance(prediction, PanopticTruth):
        prediction = prediction.to_result()
    if isinstance(prediction, PanopticResult):
        prediction = prediction.to_instances()
    if not isinstance(prediction, InstanceResult):
        raise SegrtError("a semantic result tells no objects apart; evaluate it as semantic")
    objects = []
    for box, score, class_id, encoded in zip(
        prediction.boxes.tolist(), prediction.scores.tolist(), prediction.class_ids, prediction.rles, strict=True
    ):
        place = int(match.model[int(class_id)])
        if place >= 0:
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            objects.append({"category_id": place, "score": score, "bbox": bbox, "segmentation": dict(encoded)})
    return objects


def panoptic(prediction: Prediction, match: ClassMatch) -> PanopticResult | PanopticTruth:
    """Return the map with class ids of `match.labels`; segments of classes left out become void."""
    if isinstance(prediction, PanopticResult):
        return _kept(prediction, match.model, match)
    if isinstance(prediction, PanopticTruth):
        return _kept(prediction, match.model, match)
    raise SegrtError("only a panoptic result can be evaluated as panoptic")


def truth(whole: Truth, match: ClassMatch) -> Truth:
    """Return a truth in the classes that are evaluated; what is left out becomes void, or is no object."""
    if not match.is_partial:
        return whole
    if isinstance(whole, SemanticTruth):
        return SemanticTruth(_mapped(whole.classes, match.data, len(match.labels)), match.labels)
    if isinstance(whole, InstanceTruth):
        return InstanceTruth(_placed(whole.annotations, match.data), whole.size, match.labels)
    return replace(_kept(whole, match.data, match), whole=whole)


def check_same_size(predicted: npt.NDArray[Any], size: tuple[int, ...]) -> None:
    """Raise SegrtError when a predicted map is not of the truth's (height, width)."""
    if predicted.shape[:2] != tuple(size[:2]):
        raise SegrtError(
            f"the prediction is {predicted.shape[1]} pixels wide and {predicted.shape[0]} high, but the truth "
            f"{size[1]} wide and {size[0]} high"
        )


def _placed(objects: Detections, positions: npt.NDArray[np.int64]) -> Detections:
    """Return the objects with `positions` of their classes as category_id; those of classes left out are dropped."""
    moved = [{**entry, "category_id": int(positions[entry["category_id"]])} for entry in objects]
    return [entry for entry in moved if entry["category_id"] >= 0]


def _mapped(classes: npt.NDArray[Any], positions: npt.NDArray[np.int64], count: int) -> npt.NDArray[Any]:
    dtype = class_map_dtype(count)
    void = np.iinfo(dtype).max
    table = np.full(int(np.iinfo(classes.dtype).max) + 1, void, dtype=dtype)
    table[: len(positions)] = np.where(positions < 0, void, positions)
    mapped: npt.NDArray[Any] = table[classes]
    return mapped


def _kept(whole: _Panoptic, positions: npt.NDArray[np.int64], match: ClassMatch) -> _Panoptic:
    segments: list[Any] = []
    for segment in whole.segments:
        place = int(positions[segment.class_id])
        if place >= 0:
            segments.append(replace(segment, class_id=place))
    ids = whole.ids if isinstance(whole, PanopticTruth) else whole.segment_ids
    if len(segments) < len(whole.segments):
        left = {segment.id: 1 for segment in segments}
        ids = whole.segment_ids * remap(whole.segment_ids, left, default=0, dtype=np.int32)
    if isinstance(whole, PanopticTruth):
        return PanopticTruth(ids, tuple(segments), match.labels, whole.refuse)
    return PanopticResult(ids, segments, match.labels, whole.timings)
