"""What a metric is: a meter that takes predictions and truths one by one and has the figures in the end."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import ClipSpan
from segrt.runtime.evaluate.evaluation import Evaluation, Figure
from segrt.runtime.evaluate.truth import Truth


@dataclass(frozen=True)
class MeterOptions:
    """What meters are asked for.

    kind: "bbox" for objects without masks. boundary: boundary figures too. rank: a figure for each image, by which
    the worst are found, where that takes time of its own.
    """

    kind: Literal["segm", "bbox"] = "segm"
    boundary: bool = False
    rank: bool = False


class Meter(Protocol):
    """Measures results of one technique; made by its class from (ClassMatch, MeterOptions).

    Meters of one technique become one `Evaluation`, so their figures have names of their own.
    """

    technique: ClassVar[str]
    """Of which results: `semantic`, `instance` or `panoptic`."""
    shown: ClassVar[tuple[str, ...]]
    """Which of its metrics tables show; the JSON has all."""
    shown_across: ClassVar[tuple[str, ...]]
    """Which of them the table of all techniques shows."""
    verifies: ClassVar[bool]
    """Whether `update` itself refuses a file whose map and segments differ, before it counts the image."""

    def __init__(self, match: ClassMatch, options: MeterOptions, /) -> None: ...

    def update(self, prediction: Prediction, truth: Truth) -> Figure:
        """Count one image, its truth in the classes that are evaluated; return its own figure, None for none."""

    def merge(self, other: Any) -> None:
        """Add what a meter of the same class has counted, on images that follow."""

    def result(self) -> Evaluation:
        """Return the figures."""


@runtime_checkable
class OfClips(Protocol):
    """What a meter or predictor has, too, that goes by clips."""

    def begin_clip(self, clip: ClipSpan) -> None:
        """Take note that the frames of a clip follow, in order, and that those of the one before have ended."""
