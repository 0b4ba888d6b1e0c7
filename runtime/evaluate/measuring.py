"""Measuring a predictor on a data set: sample by sample, in one process or several, in one technique or all."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch, match, things
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import Dataset, ImageId, Sample
from segrt.runtime.evaluate.evaluation import Evaluation, Figure
from segrt.runtime.evaluate.metrics.meters import InstanceMeter, Meter, PanopticMeter, SemanticMeter
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.results import Label

Progress = Callable[[int, int], None]
TECHNIQUES = ("semantic", "instance", "panoptic")
# What a technique's results can be judged as: a panoptic map says which class and which object a pixel is of.
JUDGED_AS = {"semantic": ("semantic",), "instance": ("instance",), "panoptic": TECHNIQUES}
_CHUNK = 16


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


class Sink(Protocol):
    """Takes the predictions one by one, `segrt.runtime.evaluate.prediction_writer` for instance."""

    def add(self, sample: Sample, prediction: Prediction, match: ClassMatch) -> list[dict[str, Any]]:
        """Keep one prediction; return the entries for a common file."""


@dataclass(frozen=True)
class Options:
    """How to measure: `techniques` None means the predictor's own, "all" what its results can be judged as.

    `skip_bad` counts the images whose files cannot be used, instead of ending there; `rank` gives instance results a
    figure per image too.
    """

    techniques: Literal["own", "all", "semantic", "instance", "panoptic"] = "own"
    boundary: bool = False
    common_classes: bool = False
    skip_bad: bool = False
    rank: bool = False


@dataclass
class Outcome:
    """What was measured: a meter per technique, the images' own figures, and why images were skipped."""

    match: ClassMatch
    meters: dict[str, Any]
    figures: dict[str, list[tuple[ImageId, Figure]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)

    def merge(self, other: "Outcome") -> None:
        """Add what was measured on the images that follow."""
        for technique, meter in self.meters.items():
            meter.merge(other.meters[technique])
            self.figures.setdefault(technique, []).extend(other.figures.get(technique, []))
        self.skipped += other.skipped
        self.entries += other.entries

    def evaluations(self, technique: str) -> list[Evaluation]:
        """Return the figures, technique by technique; `technique` is the predictor's own."""
        found = []
        for judged, meter in self.meters.items():
            converted = technique if judged != technique else None
            outcome = meter.result()
            found.append(msgspec.structs.replace(outcome, converted_from=converted, skipped=len(self.skipped)))
        return found


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
    for done, sample in enumerate(dataset.samples, start=1):
        _measure_one(outcome, predictor, dataset, sample, chosen, sink)
        if progress is not None:
            progress(done, len(dataset.samples))
    return checked(outcome, dataset)


def measure_parallel(
    opener: "Callable[[], AbstractContextManager[Predictor]]",
    dataset: Dataset,
    options: Options,
    *,
    workers: int,
    progress: Progress | None = None,
    sink: Sink | None = None,
) -> Outcome:
    """Measure in `workers` processes, each with its own predictor; the figures are those of one process.

    `opener`, `dataset` and `sink` travel to the processes by pickle.
    """
    total = len(dataset.samples)
    pieces = [(start, min(start + _CHUNK, total)) for start in range(0, total, _CHUNK)]
    context = multiprocessing.get_context("spawn")
    outcome: Outcome | None = None
    state = (opener, dataset, options, sink)
    try:
        with ProcessPoolExecutor(min(workers, len(pieces)), context, _start_worker, state) as pool:
            for (_, end), part in zip(pieces, pool.map(_measure_piece, pieces), strict=True):
                if outcome is None:
                    outcome = part
                else:
                    outcome.merge(part)
                if progress is not None:
                    progress(end, total)
    except BrokenProcessPool:
        raise SegrtError("a worker process ended unexpectedly, of memory perhaps; use fewer --workers") from None
    assert outcome is not None
    return checked(outcome, dataset)


def prepare(predictor: Predictor, dataset: Dataset, options: Options) -> Outcome:
    """Match the classes and make the meters, before any image is read."""
    techniques = _techniques(predictor, dataset, options)
    data = dataset.labels
    if predictor.technique == "instance":
        # An instance model knows no stuff; the data set's stuff is not asked of it.
        kept = things(data)
        if not kept:
            raise SegrtError(f"{dataset.path} has no things among its categories; instance evaluation needs some")
        part = _match(predictor, [data[index] for index in kept], dataset, options)
        whole = [-1] * len(data)
        for place, index in enumerate(kept):
            whole[index] = int(part.data[place])
        matched = ClassMatch(part.labels, part.model, np.array(whole))
    else:
        matched = _match(predictor, data, dataset, options)
    meters: dict[str, Meter] = {}
    for technique in techniques:
        if technique == "semantic":
            meters[technique] = SemanticMeter(matched, boundary=options.boundary)
        elif technique == "instance":
            meters[technique] = InstanceMeter(
                matched, kind=predictor.kind, boundary=options.boundary, rank=options.rank
            )
        else:
            meters[technique] = PanopticMeter(matched)
    return Outcome(matched, meters)


def worst(outcome: Outcome, technique: str, count: int) -> list[tuple[ImageId, float]]:
    """Return the `count` images with the lowest figures of their own, lowest first."""
    known = [(image_id, figure) for image_id, figure in outcome.figures.get(technique, []) if figure is not None]
    return sorted(known, key=lambda entry: entry[1])[:count]


def checked(outcome: Outcome, dataset: Dataset) -> Outcome:
    """Return the outcome; raise SegrtError when every image was skipped."""
    if outcome.skipped and len(outcome.skipped) == len(dataset.samples):
        raise SegrtError(
            f"all {len(outcome.skipped)} images of {dataset.path} were skipped, first: {outcome.skipped[0]}"
        )
    return outcome


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
            f"but a {wanted} model needs {_needs(wanted)}"
        )
    return (wanted,)


def _needs(technique: str) -> str:
    return {
        "semantic": "a class for every pixel: COCO panoptic annotations or label maps",
        "instance": "objects: COCO instances or COCO panoptic annotations",
        "panoptic": "COCO panoptic annotations",
    }[technique]


def _match(predictor: Predictor, data: Sequence[Label], dataset: Dataset, options: Options) -> ClassMatch:
    return match(
        predictor.labels,
        data,
        model_name=predictor.name,
        data_name=str(dataset.path),
        common=options.common_classes,
    )


def _measure_one(
    outcome: Outcome, predictor: Predictor, dataset: Dataset, sample: Sample, options: Options, sink: Sink | None
) -> None:
    figures: dict[str, Figure] = {}
    # The PQ evaluator says by itself, before it counts an image, whether a file's segments fit.
    counts_itself = list(outcome.meters) == ["panoptic"] and not outcome.match.is_partial
    try:
        whole = dataset.read_truth(sample)
        prediction = predictor.predict(sample, dataset)
        for image in () if counts_itself else (whole, prediction):
            if isinstance(image, PanopticTruth):
                image.verify()
        truth = conversion.truth(whole, outcome.match)
        _check_sizes(sample, prediction, truth.size, predictor, dataset)
        for technique, meter in outcome.meters.items():
            figures[technique] = meter.update(prediction, truth)
    except SegrtError as error:
        if not options.skip_bad:
            raise
        outcome.skipped.append(str(error))
        return
    for technique, figure in figures.items():
        outcome.figures.setdefault(technique, []).append((sample.image_id, figure))
    if sink is not None:
        outcome.entries += sink.add(sample, prediction, outcome.match)


def _check_sizes(
    sample: Sample, prediction: Prediction, size: tuple[int, int], predictor: Predictor, dataset: Dataset
) -> None:
    if not isinstance(prediction, list) and prediction.size != size:
        height, width = prediction.size
        raise SegrtError(
            f"{sample.image_path} is {width}x{height} pixels to {predictor.name}, but {size[1]}x{size[0]} by "
            f"{dataset.path}; give files that belong together"
        )


_worker: dict[str, Any] = {}


def _start_worker(
    opener: "Callable[[], AbstractContextManager[Predictor]]", dataset: Dataset, options: Options, sink: Sink | None
) -> None:
    _worker.update(opener=opener, dataset=dataset, options=options, sink=sink, predictor=None)


def _measure_piece(piece: tuple[int, int]) -> Outcome:
    if _worker["predictor"] is None:
        # Opened on first use and never closed: the process ends with the pool, and an exception here reaches the user.
        _worker["predictor"] = _worker["opener"]().__enter__()
    predictor, dataset, options = _worker["predictor"], _worker["dataset"], _worker["options"]
    outcome = prepare(predictor, dataset, options)
    samples: Iterator[Sample] = islice(dataset.samples, *piece)
    for sample in samples:
        _measure_one(outcome, predictor, dataset, sample, options, _worker["sink"])
    return outcome
