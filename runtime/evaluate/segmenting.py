"""Evaluating a segmenter: every image of a data set through it, result against truth."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.bundle.prompt_members import refuse_prompts
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.clips.tracked_predictor import TrackedPredictor, Tracks
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import Dataset, Sample, check_size, clips_of
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.measuring import Options, Predictor, Progress, measure
from segrt.runtime.inference.execution import Execution
from segrt.runtime.preprocess.channels import Raster, read_input
from segrt.runtime.preprocess.tiling import Tiling
from segrt.runtime.results import Label, Result
from segrt.runtime.segmenter import batch_for, find_bundle, open_segmenter


class Segments(Protocol):
    """What is asked of a segmenter; `segrt.runtime.segmenter.Segmenter` is one."""

    @property
    def labels(self) -> Sequence[Label]:
        """The classes; a label's position is its class id."""

    @property
    def technique(self) -> str:
        """`semantic`, `instance` or `panoptic`."""

    def __call__(self, image: Raster, /) -> Result:
        """Segment `image`, uint8 BGR (H, W, 3), or what its network wants instead."""


@dataclass(frozen=True)
class SegmenterPredictor:
    """A segmenter as a predictor: it reads the sample's picture and segments it."""

    segmenter: Segments
    name: str = "the bundle"

    @property
    def technique(self) -> str:
        """The segmenter's."""
        return self.segmenter.technique

    @property
    def labels(self) -> Sequence[Label]:
        """The segmenter's."""
        return self.segmenter.labels

    @property
    def kind(self) -> Literal["segm", "bbox"]:
        """Objects have masks."""
        return "segm"

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Read the picture and segment it."""
        return self.segmenter(picture_of(self.segmenter, sample, dataset))


def picture_of(segmenter: Segments, sample: Sample, dataset: Dataset) -> Raster:
    """Return a sample's picture as the segmenter's network wants it; raise SegrtError where it cannot be read."""
    manifest: Manifest | None = getattr(segmenter, "manifest", None)  # a wrapper may have none
    if manifest is None or manifest.image_input.takes_pictures:
        return dataset.read_image(sample)
    image = read_input(sample.image_path, manifest.inputs)
    check_size(sample.image_path, (int(image.shape[0]), int(image.shape[1])), sample.size, dataset.path)
    return image


def evaluate(
    segmenter: Segments,
    dataset: Dataset,
    *,
    name: str = "the bundle",
    options: Options | None = None,
    progress: Progress | None = None,
    tracker: "Callable[[], Tracks] | None" = None,
) -> Evaluation:
    """Run every image of the data set through the segmenter and measure its technique's figures.

    Of clips, instance and panoptic results are tracked, and the figures are those of tracked results.

    Args:
        segmenter: of any technique; a panoptic data set serves all three, an instances one serves instance.
        dataset: of `open_dataset`.
        name: what messages call the segmenter.
        options: of `segrt.runtime.evaluate.measuring`; more than one technique is measured by `measure` there.
        progress: called with (images done, images in all) after each.
        tracker: makes the tracker of each clip; None takes segrt's own, with its usual options.

    Raises:
        SegrtError: the class lists differ, the data set does not serve the technique, a file is missing or does not
            fit, or clips are given to a network that carries a state from frame to frame; the line names it.
    """
    predictor: Predictor = SegmenterPredictor(segmenter, name)
    options = replace(options or Options(), clips=bool(clips_of(dataset)))
    if options.clips:
        _refuse_state(getattr(segmenter, "manifest", None), name)
        predictor = TrackedPredictor(predictor, tracker)
    outcome = measure(predictor, dataset, options, progress=progress)
    return outcome.evaluations(segmenter.technique)[0]


def _refuse_state(manifest: Manifest | None, name: str) -> None:
    """Raise SegrtError for clips to a network that follows objects itself, which pictures one by one do not show."""
    if manifest is not None and manifest.state:
        raise SegrtError(
            f"{name}: carries a state from frame to frame, which an evaluation of clips does not; give a data set of "
            "pictures, or predictions that were made elsewhere"
        )


@dataclass(frozen=True)
class BundleOpener:
    """Opens a bundle as a predictor, in this process or another one.

    Average precision ranks all detections, so an instance bundle's own score threshold is set to 0 unless one is given.
    `tracked`: results are tracked over clips, and an instance bundle keeps its threshold. `tile`: pictures that are
    larger go through the network in such tiles.
    """

    bundle: str
    name: str
    execution: Execution = field(default_factory=Execution)
    changes: RuleChanges = field(default_factory=RuleChanges)
    tracked: bool = False
    tile: Tiling | None = None

    def __call__(self) -> AbstractContextManager[Predictor]:
        """Return a context that opens the bundle and closes it again."""
        return _Opened(self)


class _Opened(AbstractContextManager[Predictor]):
    def __init__(self, opener: BundleOpener) -> None:
        self._opener = opener

    def __enter__(self) -> Predictor:
        given = self._opener
        bundle = find_bundle(given.bundle)
        refuse_prompts(bundle.manifest, given.bundle, "eval")
        if given.tracked:
            _refuse_state(bundle.manifest, given.name)
        changes = given.changes
        if (
            bundle.manifest.technique == "instance"
            and changes.score_threshold is None
            and not given.tracked
            and hasattr(bundle.manifest.decode, "score_threshold")
        ):
            changes = replace(changes, score_threshold=0.0)
        self._segmenter = open_segmenter(
            bundle,
            backend=given.execution.backend,
            precision=given.execution.precision,
            threads=given.execution.threads,
            engines=given.execution.engines,
            device=given.execution.device,
            decode_on=given.execution.decode_on,
            changes=changes,
            batch=1 if given.tile is None else batch_for(bundle, 1, given.tile),
            tile=given.tile,
        )
        predictor = SegmenterPredictor(self._segmenter, given.name)
        return TrackedPredictor(predictor) if given.tracked else predictor

    def __exit__(self, *_: object) -> None:
        self._segmenter.close()
