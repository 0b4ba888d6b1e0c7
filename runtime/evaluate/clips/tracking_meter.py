"""How well objects are tracked: HOTA, IDF1 and MOTA, class by class."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.clips.object_pairs import ObjectPairs, pair_objects
from segrt.runtime.evaluate.clips.track_scores import FrameMatches, Integers, TrackScores, without_ignored
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import ClipSpan
from segrt.runtime.evaluate.evaluation import Evaluation, Figure, mean
from segrt.runtime.evaluate.metrics.meter import MeterOptions
from segrt.runtime.evaluate.truth import Truth
from segrt.runtime.results import Label

FIGURES = ("hota", "deta", "assa", "loca", "idf1", "mota")


class TrackingEvaluator:
    """Counts objects of clips, frame by frame; `begin_clip` before the first frame of each.

    Each class is judged alone, and figures over classes are means over those that either side has (TrackEval's class
    average, without empty classes). Predicted objects without a track do not count; neither do those that match nothing
    and lie by more than half on void, or on crowds of their class.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = tuple(labels)
        self._scores = [TrackScores() for _ in self._labels]
        self._clip: list[ObjectPairs] = []
        self._frames = 0
        self._seen = 0  # predicted objects, of which
        self._untracked = 0  # so many have no track, and the others are of so many tracks,
        self._tracks = 0
        self._with_objects = 0  # in so many frames

    def begin_clip(self) -> None:
        """End the clip before, if any."""
        frames, self._clip = self._clip, []
        if not frames:
            return
        for class_id, scores in enumerate(self._scores):
            scores.add_clip(_of_class(frames, class_id))
        tracks = [np.stack([frame.classes, frame.tracks]) for frame in frames]
        self._tracks += np.unique(np.concatenate(tracks, axis=1), axis=1).shape[1]

    def update(self, pairs: ObjectPairs) -> None:
        """Add the next frame of the clip."""
        self._clip.append(pairs)
        self._frames += 1
        self._untracked += pairs.untracked
        self._seen += len(pairs.tracks) + pairs.untracked
        self._with_objects += bool(len(pairs.tracks))

    def merge(self, other: "TrackingEvaluator") -> None:
        """Add what another evaluator of the same labels has counted, on other clips."""
        self.begin_clip()
        other.begin_clip()
        for mine, theirs in zip(self._scores, other._scores, strict=True):
            mine.merge(theirs)
        for name in ("_frames", "_seen", "_untracked", "_tracks", "_with_objects"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def missing_tracks(self) -> str | None:
        """Return in what way the predictions are not tracked at all; None when they are."""
        if self._seen and self._untracked == self._seen:
            return "none of its objects has a track"
        # Two objects of one track in all that was seen are enough; a single frame cannot have them.
        if self._with_objects > 1 and self._tracks == self._seen - self._untracked:
            return "no id is in two frames: the ids are new in each"
        return None

    def result(self, technique: str) -> Evaluation:
        """Return `hota`, `deta`, `assa`, `loca`, `idf1`, `mota`, over classes and per class."""
        self.begin_clip()
        per_class = {
            label.name: scores.figures()
            for label, scores in zip(self._labels, self._scores, strict=True)
            if label.isthing
        }
        metrics: dict[str, Figure] = {name: mean([figures[name] for figures in per_class.values()]) for name in FIGURES}
        return Evaluation(technique, self._frames, metrics, per_class)


def _of_class(frames: Sequence[ObjectPairs], class_id: int) -> list[FrameMatches]:
    """Return the frames' objects of one class, tracks numbered from 0, without those that do not count."""
    true_places: dict[int, int] = {}
    places: dict[int, int] = {}
    chosen = []
    for frame in frames:
        rows = np.flatnonzero(frame.true_classes == class_id)
        columns = np.flatnonzero(frame.classes == class_id)
        iou = frame.iou[np.ix_(rows, columns)]
        counted = without_ignored(iou, frame.ignored[columns])
        true = _numbered(frame.true_tracks[rows], true_places)
        predicted = _numbered(frame.tracks[columns[counted]], places)
        chosen.append(FrameMatches(true, predicted, iou[:, counted]))
    return chosen


def _numbered(tracks: Integers, places: dict[int, int]) -> Integers:
    return np.array([places.setdefault(track, len(places)) for track in tracks.tolist()], np.int64)


class _TrackingMeter:
    """HOTA, IDF1 and MOTA of tracked results; subclasses say of which technique."""

    technique: ClassVar[str]
    shown: ClassVar[tuple[str, ...]] = ("hota", "idf1", "mota")
    shown_across: ClassVar[tuple[str, ...]] = ("hota", "idf1")
    verifies: ClassVar[bool] = False

    def __init__(self, match: ClassMatch, options: MeterOptions) -> None:
        if options.kind == "bbox":
            raise SegrtError("clips are judged by masks, but the predictions have boxes alone; give masks")
        self._match = match
        self.evaluator = TrackingEvaluator(match.labels)

    def begin_clip(self, clip: ClipSpan) -> None:  # noqa: ARG002 (predictors want to know)
        """End the clip before, if any."""
        self.evaluator.begin_clip()

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count the next frame; it has no figure of its own."""
        self.evaluator.update(pair_objects(prediction, truth, self._match))
        return None

    def merge(self, other: "_TrackingMeter") -> None:
        """Add another meter's counts."""
        self.evaluator.merge(other.evaluator)

    def result(self) -> Evaluation:
        """Return the figures; raise SegrtError when nothing was tracked."""
        evaluation = self.evaluator.result(self.technique)
        missing = self.evaluator.missing_tracks()
        if missing is not None:
            raise SegrtError(f"the predictions are not tracked: {missing}; give results of a tracker")
        return evaluation


class InstanceTrackingMeter(_TrackingMeter):
    """Of instance results."""

    technique: ClassVar[str] = "instance"


class PanopticTrackingMeter(_TrackingMeter):
    """Of the things of panoptic results."""

    technique: ClassVar[str] = "panoptic"
    shown_across: ClassVar[tuple[str, ...]] = ()  # they are the instance results'
