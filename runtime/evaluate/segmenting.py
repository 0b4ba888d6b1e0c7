"""Evaluating a segmenter: every image of a data set through it, result against truth."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import adapting
from segrt.runtime.evaluate.classes import match_classes, things
from segrt.runtime.evaluate.coco_dataset import Dataset, InstanceDataset, PanopticDataset, Sample, check_size
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.instance import InstanceEvaluator
from segrt.runtime.evaluate.panoptic import PanopticEvaluator
from segrt.runtime.evaluate.semantic import SemanticEvaluator
from segrt.runtime.images import read_image
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, SemanticResult

Progress = Callable[[int, int], None]


class Segments(Protocol):
    """What is asked of a segmenter; `segrt.runtime.segmenter.Segmenter` is one."""

    @property
    def labels(self) -> Sequence[Label]:
        """The classes; a label's position is its class id."""

    @property
    def technique(self) -> str:
        """`semantic`, `instance` or `panoptic`."""

    def __call__(self, image: npt.NDArray[np.uint8], /) -> Result:
        """Segment `image`, uint8 BGR (H, W, 3)."""


def evaluate(
    segmenter: Segments, dataset: Dataset, *, name: str = "the bundle", progress: Progress | None = None
) -> Evaluation:
    """Run every image of the data set through the segmenter and measure its technique's figures.

    Args:
        segmenter: of any technique; a panoptic data set serves all three, an instances one serves instance.
        dataset: of `open_dataset`.
        name: what messages call the segmenter.
        progress: called with (images done, images in all) after each.

    Raises:
        SegrtError: the class lists differ, the data set does not serve the technique, a file is missing or does not
            fit; the line names it.
    """
    run = _RUNS[segmenter.technique](segmenter, dataset, name)
    for done, sample in enumerate(dataset.samples, start=1):
        image = read_image(sample.image_path)
        check_size(sample.image_path, _size(image), sample.size, dataset.path)
        run(sample, image)
        if progress is not None:
            progress(done, len(dataset.samples))
    evaluation: Evaluation = run.result()
    return evaluation


class _SemanticRun:
    def __init__(self, segmenter: Segments, dataset: Dataset, name: str) -> None:
        self._data = _panoptic_data(dataset, "semantic")
        labels = self._data.labels
        self._positions = match_classes(segmenter.labels, labels, model_name=name, data_name=str(dataset.path))
        self._segmenter = segmenter
        self._evaluator = SemanticEvaluator(labels)

    def __call__(self, sample: Sample, image: npt.NDArray[np.uint8]) -> None:
        truth = self._data.read_truth(sample)
        check_size(sample.image_path, _size(image), truth.size, self._data.png_folder)
        result = self._segmenter(image)
        assert isinstance(result, SemanticResult)
        classes = len(self._data.labels)
        self._evaluator.update(adapting.class_map(result, self._positions, classes), truth.class_map())

    def result(self) -> Evaluation:
        return self._evaluator.result()


class _InstanceRun:
    def __init__(self, segmenter: Segments, dataset: Dataset, name: str) -> None:
        self._data = dataset
        # An instance model knows no stuff; the data set's stuff is not asked of it.
        self._kept = things(dataset.labels)
        labels = tuple(dataset.labels[index] for index in self._kept)
        if not labels:
            raise SegrtError(f"{dataset.path} has no things among its categories; instance evaluation needs some")
        self._positions = match_classes(segmenter.labels, labels, model_name=name, data_name=str(dataset.path))
        self._segmenter = segmenter
        self._evaluator = InstanceEvaluator(labels)

    def __call__(self, sample: Sample, image: npt.NDArray[np.uint8]) -> None:
        objects = _objects(self._data, sample, self._kept)
        result = self._segmenter(image)
        assert isinstance(result, InstanceResult)
        self._evaluator.update(adapting.detections(result, self._positions), objects, result.size)

    def result(self) -> Evaluation:
        return self._evaluator.result()


class _PanopticRun:
    def __init__(self, segmenter: Segments, dataset: Dataset, name: str) -> None:
        self._data = _panoptic_data(dataset, "panoptic")
        labels = self._data.labels
        self._positions = match_classes(segmenter.labels, labels, model_name=name, data_name=str(dataset.path))
        self._segmenter = segmenter
        self._evaluator = PanopticEvaluator(labels)

    def __call__(self, sample: Sample, image: npt.NDArray[np.uint8]) -> None:
        truth = self._data.read_truth(sample)
        check_size(sample.image_path, _size(image), truth.size, self._data.png_folder)
        result = self._segmenter(image)
        assert isinstance(result, PanopticResult)
        self._evaluator.update(adapting.panoptic(result, self._positions, self._data.labels), truth)

    def result(self) -> Evaluation:
        return self._evaluator.result()


_RUNS: dict[str, Callable[[Segments, Dataset, str], Any]] = {
    "semantic": _SemanticRun,
    "instance": _InstanceRun,
    "panoptic": _PanopticRun,
}


def _panoptic_data(dataset: Dataset, technique: str) -> PanopticDataset:
    if isinstance(dataset, InstanceDataset):
        raise SegrtError(f"{dataset.path} holds instances, but a {technique} model needs COCO panoptic annotations")
    return dataset


def _objects(dataset: Dataset, sample: Sample, kept: list[int]) -> list[dict[str, Any]]:
    """Return the sample's true objects with positions among the things as category_id."""
    objects = (
        dataset.read_objects(sample) if isinstance(dataset, InstanceDataset) else dataset.read_truth(sample).objects()
    )
    check_masks(objects, sample, dataset)
    place = {class_id: index for index, class_id in enumerate(kept)}
    return [{**entry, "category_id": place[entry["category_id"]]} for entry in objects]


def check_masks(objects: Sequence[dict[str, Any]], sample: Sample, dataset: Dataset) -> None:
    """Raise SegrtError when an object of the sample has no mask."""
    if any("segmentation" not in entry for entry in objects):
        raise SegrtError(f"{dataset.path} has objects without masks in image {sample.image_id}; mask AP needs them")


def _size(image: npt.NDArray[Any]) -> tuple[int, int]:
    return int(image.shape[0]), int(image.shape[1])
