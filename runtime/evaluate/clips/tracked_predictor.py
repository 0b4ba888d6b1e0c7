"""A predictor whose results are tracked, frame after frame of each clip."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

import numpy.typing as npt

from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, Dataset, Sample
from segrt.runtime.evaluate.measuring import Predictor
from segrt.runtime.results import InstanceResult, Label, PanopticResult
from segrt.runtime.tracking import Tracker

_Tracked = TypeVar("_Tracked", InstanceResult, PanopticResult)


class Tracks(Protocol):
    """What is asked of a tracker: `segrt.runtime.tracking.Tracker` is one."""

    def update(self, result: _Tracked, pts: float | None = None, image: npt.NDArray[Any] | None = None) -> _Tracked:
        """Return the next frame's result with track ids; `pts` in seconds, `image` uint8 BGR (H, W, 3)."""


def own_tracker() -> Tracks:
    """Return segrt's tracker, with the options that it has by default."""
    return Tracker()


class TrackedPredictor:
    """Tracks what a predictor finds; every clip begins with a new tracker, which sees its frames in order."""

    def __init__(self, predictor: Predictor, make_tracker: Callable[[], Tracks] | None = None) -> None:
        self._predictor = predictor
        self._make = own_tracker if make_tracker is None else make_tracker
        self._tracker: Tracks | None = None
        self._fps: float | None = None
        self._place = 0

    @property
    def name(self) -> str:
        """The predictor's."""
        return self._predictor.name

    @property
    def technique(self) -> str:
        """The predictor's."""
        return self._predictor.technique

    @property
    def labels(self) -> Sequence[Label]:
        """The predictor's."""
        return self._predictor.labels

    @property
    def kind(self) -> Literal["segm", "bbox"]:
        """The predictor's."""
        return self._predictor.kind

    def begin_clip(self, clip: ClipSpan) -> None:
        """Forget what was tracked."""
        self._tracker, self._fps, self._place = self._make(), clip.fps, 0

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Predict the next frame and track it."""
        result = self._predictor.predict(sample, dataset)
        if not isinstance(result, InstanceResult | PanopticResult) or self._tracker is None:
            return result
        pts = None if self._fps is None else self._place / self._fps
        self._place += 1
        if isinstance(result, PanopticResult):
            return self._tracker.update(result, pts, result.image)
        return self._tracker.update(result, pts, result.image)
