"""The objects of one frame, true and predicted, and how far their masks agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.clips.clip_ids import check_unique, is_untracked
from segrt.runtime.evaluate.clips.frame_counts import FrameCounts, count_frame
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.truth import InstanceTruth, PanopticTruth, Truth
from segrt.runtime.results import InstanceResult, Label, PanopticResult, rle

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
UNTRACKED = -1


@dataclass(frozen=True, eq=False)
class ObjectPairs:
    """T true objects with a track each, and P predicted ones, of which some may have none.

    `iou` float64 (T, P) is that of masks, of whatever class; `ignored` float64 (P,) the share of each predicted mask
    that lies on void or on a crowd of its class. `untracked` counts the predicted objects that have no track; they are
    in no other field.
    """

    true_tracks: Integers
    true_classes: Integers
    tracks: Integers
    classes: Integers
    iou: Floats
    ignored: Floats
    untracked: int


def pair_objects(prediction: Prediction, truth: Truth, match: ClassMatch) -> ObjectPairs:
    """Compare the objects of a frame; the truth is in the classes of `match` already."""
    if isinstance(truth, PanopticTruth) and isinstance(prediction, PanopticResult | PanopticTruth):
        return pairs_of_counts(count_frame(prediction, truth, match), match.labels)
    if isinstance(prediction, PanopticTruth):
        prediction = _with_file_tracks(prediction)
    if isinstance(prediction, PanopticResult):
        prediction = prediction.to_instances()
    if not isinstance(prediction, InstanceResult):
        raise SegrtError("the prediction has no tracked objects with masks; give tracked results, or files of clips")
    return _pairs_of_masks(prediction, _true_objects(truth), match)


def pairs_of_counts(counts: FrameCounts, labels: Sequence[Label]) -> ObjectPairs:
    """Return the things of two panoptic maps as pairs."""
    thing = np.array([label.isthing for label in labels], np.bool_)
    true, predicted, shared = counts.true, counts.predicted, counts.shared
    rows = np.flatnonzero(thing[true.classes] & ~true.crowd)
    things = np.flatnonzero(thing[predicted.classes])
    known = np.array([not is_untracked(int(predicted.ids[column])) for column in things], np.bool_)
    columns = things[known]
    true_areas, areas = shared.sum(axis=1)[1:][rows], shared.sum(axis=0)[1:][columns]
    both = shared[1:, 1:]
    inside = both[np.ix_(rows, columns)]
    crowds = true.crowd[:, None] & (true.classes[:, None] == predicted.classes[columns])
    excused = shared[0, 1:][columns] + (both[:, columns] * crowds).sum(axis=0)
    union = true_areas[:, None] + areas - inside
    return ObjectPairs(
        true.ids[rows],
        true.classes[rows],
        predicted.ids[columns],
        predicted.classes[columns],
        inside / np.maximum(union, 1),
        excused / np.maximum(areas, 1),
        int((~known).sum()),
    )


@dataclass(frozen=True, eq=False)
class _TrueObjects:
    """The true objects of a frame, and the regions where nothing is judged: (mask, class or None for all)."""

    tracks: list[int]
    classes: list[int]
    masks: list[Any]
    regions: list[tuple[Any, int | None]]


def _true_objects(truth: Truth) -> _TrueObjects:
    found = _TrueObjects([], [], [], [])
    if isinstance(truth, InstanceTruth):
        for entry in truth.objects():
            if entry.get("iscrowd"):
                found.regions.append((entry["segmentation"], entry["category_id"]))
                continue
            found.tracks.append(entry["track_id"])
            found.classes.append(entry["category_id"])
            found.masks.append(entry["segmentation"])
        return found
    if not isinstance(truth, PanopticTruth):
        raise SegrtError("the data set tells no objects apart; evaluate as semantic")
    for segment in truth.segments:
        if not truth.labels[segment.class_id].isthing:
            continue
        mask = rle.encode(truth.segment_ids == segment.id)
        if segment.iscrowd:
            found.regions.append((mask, segment.class_id))
            continue
        found.tracks.append(segment.id)
        found.classes.append(segment.class_id)
        found.masks.append(mask)
    void = (truth.whole or truth).segment_ids == 0  # classes left out are no void: detections on them are wrong
    if void.any():
        found.regions.append((rle.encode(void), None))
    return found


def _pairs_of_masks(prediction: InstanceResult, true: _TrueObjects, match: ClassMatch) -> ObjectPairs:
    places = match.model[prediction.class_ids.astype(np.int64)] if len(prediction) else np.zeros(0, np.int64)
    tracks = prediction.track_ids if prediction.track_ids is not None else np.full(len(prediction), UNTRACKED, np.int64)
    wanted = places >= 0
    kept = np.flatnonzero(wanted & (tracks != UNTRACKED))
    check_unique(tracks[kept].tolist())
    masks = [prediction.rles[index] for index in kept]
    ignored = np.zeros(len(kept))
    for mask, class_id in true.regions:
        of_class = np.ones(len(kept), np.bool_) if class_id is None else places[kept] == class_id
        ignored += _overlap([mask], masks, of_whole=True)[0] * of_class
    return ObjectPairs(
        np.array(true.tracks, np.int64),
        np.array(true.classes, np.int64),
        tracks[kept],
        places[kept],
        _overlap(true.masks, masks),
        ignored,
        int((wanted & (tracks == UNTRACKED)).sum()),
    )


def _overlap(true: Sequence[Any], predicted: Sequence[Any], *, of_whole: bool = False) -> Floats:
    """Return the IoU of masks (T, P), or with `of_whole` the share of each predicted one that the true one holds."""
    if not true or not predicted:
        return np.zeros((len(true), len(predicted)))
    from faster_coco_eval.core import mask as masks

    found = masks.iou([dict(code) for code in predicted], [dict(code) for code in true], [of_whole] * len(true))
    iou: Floats = np.asarray(found, np.float64).reshape(len(predicted), len(true)).T
    return iou


def _with_file_tracks(prediction: PanopticTruth) -> PanopticResult:
    """Return a map that was read from files as a result whose tracks are the ids of the map."""
    return prediction.to_result().with_tracks([segment.id for segment in prediction.segments])
