"""Panoptic maps of clips: video panoptic quality, and segmentation and tracking quality."""

from typing import ClassVar

from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.clips.frame_counts import count_frame
from segrt.runtime.evaluate.clips.step_quality import StepEvaluator
from segrt.runtime.evaluate.clips.tubes import TubeEvaluator
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import ClipSpan
from segrt.runtime.evaluate.evaluation import Evaluation, Figure
from segrt.runtime.evaluate.metrics.meter import MeterOptions
from segrt.runtime.evaluate.truth import Truth


class PanopticClipMeter:
    """VPQ and STQ of tracked panoptic maps."""

    technique: ClassVar[str] = "panoptic"
    shown: ClassVar[tuple[str, ...]] = ("vpq", "vpq_things", "vpq_stuff", "stq")
    shown_across: ClassVar[tuple[str, ...]] = ("vpq", "stq")
    verifies: ClassVar[bool] = True

    def __init__(self, match: ClassMatch, options: MeterOptions) -> None:  # noqa: ARG002 (every meter takes them)
        self._match = match
        self._frames = 0
        self.tubes = TubeEvaluator(match.labels)
        self.step = StepEvaluator(match.labels)

    def begin_clip(self, clip: ClipSpan) -> None:  # noqa: ARG002 (predictors want to know)
        """End the clip before, if any."""
        self.tubes.begin_clip()
        self.step.begin_clip()

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count the next frame; it has no figure of its own."""
        counts = count_frame(prediction, truth, self._match)
        self._frames += 1
        self.tubes.update(counts)
        self.step.update(counts)
        return None

    def merge(self, other: "PanopticClipMeter") -> None:
        """Add another meter's counts."""
        self.tubes.merge(other.tubes)
        self.step.merge(other.step)
        self._frames += other._frames

    def result(self) -> Evaluation:
        """Return the figures."""
        metrics, per_class = self.tubes.result()
        more, ious = self.step.result()
        joined = {name: figures | ious[name] for name, figures in per_class.items()}
        return Evaluation("panoptic", self._frames, metrics | more, joined)
