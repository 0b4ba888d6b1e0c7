"""Measuring a predictor on a data set, sample by sample, in one technique or all."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.by_technique import JUDGED_AS, NEEDED_TRUTH
from segrt.runtime.evaluate.class_matching import ClassMatch, match, thing_positions
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, Dataset, ImageId, Sample, clips_of
from segrt.runtime.evaluate.evaluation import Evaluation, Figure
from segrt.runtime.evaluate.metrics.class_iou import SemanticMeter
from segrt.runtime.evaluate.metrics.meter import Meter, MeterOptions, OfClips
from segrt.runtime.evaluate.metrics.meters import meters_of
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.results import Label

Progress = Callable[[int, int], None]


class Predictor(Protocol):
    """What is evaluated: a segmenter, or files of predictions."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def technique(self) -> str:
        """`semantic`, `instance` or `panoptic`."""

    @property
    def labels(self) -> Sequence[Label]:
        """The classes of its predictions."""

    @property
    def kind(self) -> Literal["segm", "bbox"]:
        """`bbox` for objects without masks."""

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Return the prediction for a sample; raise SegrtError that names the file when there is none."""


Opener = Callable[[], AbstractContextManager[Predictor]]
"""Opens a predictor, in this process or another one."""


class Sink(Protocol):
    """Takes the predictions one by one, `segrt.runtime.evaluate.prediction_writer` for instance."""

    def add(self, sample: Sample, prediction: Prediction, match: ClassMatch) -> list[dict[str, Any]]:
        """Keep one prediction; return the entries for a common file."""


@dataclass(frozen=True)
class Options:
    """How to measure.

    techniques: "own" is the predictor's, "all" what its results can be judged as. boundary: boundary figures too.
    common_classes: the classes that both sides have by name; renamed: (class of the predictor, class of the data set
    that it counts as). skip_bad: count the images whose files cannot be used instead of ending there. rank: give
    instance results a figure per image too. clips: results are tracked, and judged over the clips of the data set.
    """

    techniques: Literal["own", "all", "semantic", "instance", "panoptic"] = "own"
    boundary: bool = False
    common_classes: bool = False
    skip_bad: bool = False
    rank: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    clips: bool = False


@dataclass
class Outcome:
    """What was measured: the meters of each technique, the images' own figures, and why images were skipped.

    `doubts` say what of the truth is suspicious, once all of it was counted.
    """

    match: ClassMatch
    meters: dict[str, list[Meter]]
    figures: dict[str, list[tuple[ImageId, Figure]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)

    def merge(self, other: "Outcome") -> None:
        """Add what was measured on the images that follow."""
        for technique, meters in self.meters.items():
            for meter, following in zip(meters, other.meters[technique], strict=True):
                meter.merge(following)
            self.figures.setdefault(technique, []).extend(other.figures.get(technique, []))
        self.skipped += other.skipped
        self.entries += other.entries

    def evaluations(self, technique: str) -> list[Evaluation]:
        """Return the figures, technique by technique; `technique` is the predictor's own."""
        return [
            msgspec.structs.replace(
                _joined([meter.result() for meter in meters]),
                converted_from=technique if judged != technique else None,
                skipped=len(self.skipped),
            )
            for judged, meters in self.meters.items()
        ]


def measure(
    predictor: Predictor,
    dataset: Dataset,
    options: Options | None = None,
    *,
    progress: Progress | None = None,
    sink: Sink | None = None,
) -> Outcome:
    """Measure a predictor on every sample of a data set, in this process.

    Raises:
        SegrtError: the class lists differ, the data set does not serve the technique, a file is missing or does not
            fit; the line names it.
    """
    chosen = options or Options()
    outcome = prepare(predictor, dataset, chosen)
    clips = {clip.start: clip for clip in clips_of(dataset)} if chosen.clips else {}
    for done, sample in enumerate(dataset.samples, start=1):
        if done - 1 in clips:
            begin_clip(outcome, predictor, clips[done - 1])
        measure_sample(outcome, predictor, dataset, sample, chosen, sink)
        if progress is not None:
            progress(done, len(dataset.samples))
    return checked(outcome, dataset)


def prepare(
    predictor: Predictor, dataset: Dataset, options: Options, meters: Sequence[type[Meter]] | None = None
) -> Outcome:
    """Match the classes and make the meters, before any image is read; `meters` None takes those of the table."""
    if options.clips and options.skip_bad:
        raise SegrtError(f"--skip-bad: {dataset.path} is of clips, in which no frame can be left out; leave it out")
    techniques = _techniques(predictor, dataset, options)
    matched = _matched(predictor, dataset, options)
    meter_options = MeterOptions(predictor.kind, options.boundary, options.rank)
    chosen = {
        technique: [
            meter(matched, meter_options)
            for meter in (meters_of(technique, clips=options.clips) if meters is None else meters)
            if meter.technique == technique
        ]
        for technique in techniques
    }
    return Outcome(matched, chosen)


def begin_clip(outcome: Outcome, predictor: Predictor, clip: ClipSpan) -> None:
    """Tell meters and predictor that the frames of a clip follow."""
    for each in (predictor, *(meter for several in outcome.meters.values() for meter in several)):
        if isinstance(each, OfClips):
            each.begin_clip(clip)


def worst(outcome: Outcome, technique: str, count: int) -> list[tuple[ImageId, float]]:
    """Return the `count` images with the lowest figures of their own, lowest first."""
    known = [(image_id, figure) for image_id, figure in outcome.figures.get(technique, []) if figure is not None]
    return sorted(known, key=lambda entry: entry[1])[:count]


def checked(outcome: Outcome, dataset: Dataset) -> Outcome:
    """Return the outcome; raise SegrtError when every image was skipped, or the truth is surely misread."""
    if outcome.skipped and len(outcome.skipped) == len(dataset.samples):
        raise SegrtError(
            f"all {len(outcome.skipped)} images of {dataset.path} were skipped, first: {outcome.skipped[0]}"
        )
    for meter in outcome.meters.get("semantic", ()) if not outcome.match.is_partial else ():
        if isinstance(meter, SemanticMeter):
            outcome.doubts += doubts_of(meter, dataset)
    return outcome


def doubts_of(meter: SemanticMeter, dataset: Dataset) -> list[str]:
    """Return what is suspicious of the truth that a meter has counted; raise SegrtError where it is surely misread."""
    find = getattr(dataset, "missing_truth", None)
    counts = meter.evaluator
    found = None if find is None else find(counts.confusion.sum(axis=1).tolist(), counts.void)
    if found is None:
        return []
    message, sure = found
    if sure:
        raise SegrtError(f"{dataset.path}: {message}")
    return [f"{dataset.path}: {message}"]


def measure_sample(
    outcome: Outcome, predictor: Predictor, dataset: Dataset, sample: Sample, options: Options, sink: Sink | None
) -> None:
    """Add one sample to the outcome; raise SegrtError for a bad one unless it is to be skipped."""
    meters = [meter for several in outcome.meters.values() for meter in several]
    verify_here = outcome.match.is_partial or not all(meter.verifies for meter in meters)
    figures: dict[str, Figure] = {}
    try:
        whole = dataset.read_truth(sample)
        prediction = predictor.predict(sample, dataset)
        for image in (whole, prediction) if verify_here else ():
            if isinstance(image, PanopticTruth):
                image.verify()
        truth = conversion.truth(whole, outcome.match)
        _check_sizes(sample, prediction, truth.size, predictor, dataset)
        for meter in meters:
            figure = meter.update(prediction, truth)
            figures.setdefault(meter.technique, figure)  # the image's own figure is its main metric's
    except SegrtError as error:
        if not options.skip_bad:
            raise
        outcome.skipped.append(str(error))
        return
    for technique, figure in figures.items():
        outcome.figures.setdefault(technique, []).append((sample.image_id, figure))
    if sink is not None:
        outcome.entries += sink.add(sample, prediction, outcome.match)


def _techniques(predictor: Predictor, dataset: Dataset, options: Options) -> tuple[str, ...]:
    possible = JUDGED_AS[predictor.technique]
    if options.techniques == "all":
        served = tuple(technique for technique in possible if technique in dataset.techniques)
        if served:
            return served
    wanted = predictor.technique if options.techniques in ("own", "all") else options.techniques
    if wanted not in possible:
        raise SegrtError(f"{predictor.name} gives {predictor.technique} results, which cannot be judged as {wanted}")
    if wanted not in dataset.techniques:
        raise SegrtError(
            f"{dataset.path} holds {' and '.join(dataset.techniques).replace('instance', 'instances')}, "
            f"but {'an' if wanted == 'instance' else 'a'} {wanted} model needs {NEEDED_TRUTH[wanted]}"
        )
    return (wanted,)


def _matched(predictor: Predictor, dataset: Dataset, options: Options) -> ClassMatch:
    """Match the predictor's classes to the data set's; an instance model knows no stuff, so none is asked of it."""
    data = dataset.labels
    kept = thing_positions(data) if predictor.technique == "instance" else list(range(len(data)))
    if not kept:
        raise SegrtError(f"{dataset.path} has no things among its categories; instance evaluation needs some")
    part = match(
        predictor.labels,
        [data[index] for index in kept],
        model_name=predictor.name,
        data_name=str(dataset.path),
        common=options.common_classes,
        renamed=options.renamed,
    )
    _refuse_joined_stuff(part, predictor)
    whole = np.full(len(data), -1, dtype=np.int64)
    whole[kept] = part.data
    return ClassMatch(part.labels, part.model, whole, part.left_out)


def _refuse_joined_stuff(match: ClassMatch, predictor: Predictor) -> None:
    """Raise SegrtError where several classes of a panoptic predictor become one of stuff, which has one segment."""
    places = [int(place) for place in match.model if place >= 0 and not match.labels[int(place)].isthing]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None and predictor.technique == "panoptic":
        raise SegrtError(
            f"--map: several classes of {predictor.name} become {match.labels[twice].name!r}, stuff that a panoptic "
            "result has in one segment; map one of them"
        )


def _joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Join the figures of one technique's meters into one evaluation."""
    metrics = {name: figure for evaluation in evaluations for name, figure in evaluation.metrics.items()}
    per_class: dict[str, dict[str, Figure]] = {}
    for evaluation in evaluations:
        for label, figures in evaluation.per_class.items():
            per_class[label] = per_class.get(label, {}) | figures
    return msgspec.structs.replace(evaluations[0], metrics=metrics, per_class=per_class)


def _check_sizes(
    sample: Sample, prediction: Prediction, size: tuple[int, int], predictor: Predictor, dataset: Dataset
) -> None:
    if not isinstance(prediction, list) and prediction.size != size:
        height, width = prediction.size
        raise SegrtError(
            f"{sample.image_path} is {width} pixels wide and {height} high to {predictor.name}, but {size[1]} wide and "
            f"{size[0]} high by "
            f"{dataset.path}; give files that belong together"
        )
