"""Evaluating files of predictions, whoever made them: COCO panoptic JSON and PNG, or COCO results."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.archived_predictions import ArchivePredictions, open_archive_predictions
from segrt.runtime.evaluate.class_matching import thing_positions
from segrt.runtime.evaluate.clips.clip_predictions import (
    ClipPredictions,
    open_clip_predictions,
    open_step_predictions,
)
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.coco_files import (
    CocoPanopticAnnotation,
    CocoResult,
    convert,
    read_json,
    read_panoptic,
)
from segrt.runtime.evaluate.datasets.coco_masks import CocoRle, mask_problem
from segrt.runtime.evaluate.datasets.dataset import Dataset, ImageId, Sample, clips_of
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.measuring import Options, Predictor, Progress, measure
from segrt.runtime.files.reading import is_folder
from segrt.runtime.results import Label, SemanticResult, rle
from segrt.runtime.results.semantic import class_map_dtype
from segrt.runtime.scale.archive.archived_results import is_archive_folder


def evaluate_predictions(
    predictions: "str | os.PathLike[str]",
    dataset: Dataset,
    *,
    predictions_dir: "str | os.PathLike[str] | None" = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a file of predictions against a data set; category ids are the data set's own.

    Args:
        predictions: a COCO panoptic JSON (an object with annotations), or COCO results (a list): of instances, with
            masks or with boxes alone, or of stuff (masks without scores, which is a semantic result). For clips: COCO
            panoptic video, YouTube-VIS's objects or results, or a folder of KITTI-STEP's maps. The folder of an archive
            (`segrt archive`) has predictions of the pictures that are its sources.
        dataset: of `open_dataset`.
        predictions_dir: the folder of a panoptic JSON's PNG files; by default the JSON's path without its suffix.
        options: of `segrt.runtime.evaluate.measuring`.
        progress: called with (images done, images in all) after each.

    Raises:
        SegrtError: a file is missing, does not fit, or says nothing about an image; the line names it.
    """
    predictor = open_predictions(predictions, dataset, predictions_dir)
    options = replace(options or Options(), clips=bool(clips_of(dataset)))
    return measure(predictor, dataset, options, progress=progress).evaluations(predictor.technique)[0]


def open_predictions(
    predictions: "str | os.PathLike[str]", dataset: Dataset, predictions_dir: "str | os.PathLike[str] | None" = None
) -> "FilePredictions":
    """Read a file of predictions for a data set; see `evaluate_predictions`."""
    path = Path(predictions)
    if is_archive_folder(path):
        return open_archive_predictions(str(path), dataset)
    if clips_of(dataset) and is_folder(path):
        return open_step_predictions(path, dataset)
    content = read_json(path)
    if clips_of(dataset):
        folder = None if predictions_dir is None else Path(predictions_dir)
        of_clips = open_clip_predictions(path, content, dataset, folder)
        if of_clips is not None:
            return of_clips
    if isinstance(content, list):
        return _listed(path, content, dataset)
    if not isinstance(content, dict) or "annotations" not in content:
        raise SegrtError(f"{path} must be COCO instance results (a list) or a COCO panoptic JSON with annotations")
    folder = Path(predictions_dir) if predictions_dir is not None else path.with_suffix("")
    if not is_folder(folder):
        raise SegrtError(f"{folder} is no folder; give the one with the predicted PNG files as --predictions-dir")
    annotations = convert(path, content["annotations"], list[CocoPanopticAnnotation])
    known = {sample.image_id for sample in dataset.samples}
    for entry in annotations:
        if entry.image_id not in known:
            some = ", ".join(repr(sample.image_id) for sample in dataset.samples[:3])
            raise SegrtError(
                f"{path}: is of image {entry.image_id!r}, which {dataset.path} lacks; its ids are {some}, …; "
                f"predict its images, under their ids"
            )
    return PanopticPredictions(path, folder, dataset.labels, {entry.image_id: entry for entry in annotations})


@dataclass(frozen=True)
class PanopticPredictions:
    """A COCO panoptic JSON and its folder of PNG files."""

    path: Path
    folder: Path
    labels: tuple[Label, ...]
    annotations: dict[ImageId, CocoPanopticAnnotation]
    technique = "panoptic"
    kind: Literal["segm", "bbox"] = "segm"

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Read the sample's PNG."""
        annotation = self.annotations.get(sample.image_id)
        if annotation is None:
            raise SegrtError(f"{self.path} has no prediction for image {sample.image_id} of {dataset.path}; add it")
        png = self.folder / annotation.file_name
        return read_panoptic(png, annotation, self.labels, sample.size, self.path, size_source=dataset.path)


@dataclass(frozen=True)
class ListedPredictions:
    """A list of COCO results by image: of instances, or of stuff (`technique` semantic)."""

    path: Path
    technique: str
    kind: Literal["segm", "bbox"]
    labels: tuple[Label, ...]
    by_image: dict[ImageId, list[dict[str, Any]]]

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Return the sample's detections, or for stuff its class map."""
        results = self.by_image.get(sample.image_id, [])
        if self.kind == "segm":
            size = sample.size or dataset.read_truth(sample).size
            for entry in results:
                _check_rle(self.path, entry, size)
            if self.technique == "semantic":
                return self._class_map(results, size)
        return results

    def _class_map(self, results: list[dict[str, Any]], size: tuple[int, int]) -> SemanticResult:
        dtype = class_map_dtype(len(self.labels))
        classes = np.full(size, np.iinfo(dtype).max, dtype=dtype)
        for entry in results:
            code: rle.Rle = {"size": list(size), "counts": entry["segmentation"]["counts"].encode("ascii")}
            classes[rle.decode(code)] = entry["category_id"]
        return SemanticResult(classes, self.labels)


@dataclass(frozen=True)
class PredictionsOpener:
    """Hands over predictions that were read, in this process or another one."""

    predictor: "FilePredictions"

    def __call__(self) -> AbstractContextManager[Predictor]:
        """Return a context with the predictions."""
        from contextlib import nullcontext

        return nullcontext(self.predictor)


FilePredictions = PanopticPredictions | ListedPredictions | ClipPredictions | ArchivePredictions
"""What predictions are read as."""


def _listed(path: Path, content: list[Any], dataset: Dataset) -> ListedPredictions:
    first = content[0] if content and isinstance(content[0], dict) else {}
    kind: Literal["segm", "bbox"] = "bbox" if content and "segmentation" not in first else "segm"
    unscored = bool(content) and all(isinstance(entry, dict) and "score" not in entry for entry in content)
    semantic = unscored and kind == "segm" and "semantic" in dataset.techniques
    kept = range(len(dataset.labels)) if semantic else thing_positions(dataset.labels)
    labels = tuple(dataset.labels[index] for index in kept)
    places = {label.dataset_id: index for index, label in enumerate(labels)}
    known = {sample.image_id for sample in dataset.samples}
    wanted = ["image_id", "category_id", "segmentation" if kind == "segm" else "bbox"]
    wanted += [] if semantic else ["score"]
    by_image: dict[ImageId, list[dict[str, Any]]] = {}
    for number, entry in enumerate(content):
        missing = [name for name in wanted if not isinstance(entry, dict) or entry.get(name) is None]
        if missing:
            raise SegrtError(f"{path}: result {number} has no {missing[0]}; give COCO instance results")
        convert(path, entry, CocoResult, f"result {number}")
        if entry["image_id"] not in known:
            some = ", ".join(repr(sample.image_id) for sample in dataset.samples[:3])
            raise SegrtError(
                f"{path}: result {number} is of image {entry['image_id']!r}, which {dataset.path} lacks; its ids are "
                f"{some}, …; give results of its images"
            )
        if entry["category_id"] not in places:
            raise SegrtError(
                f"{path}: result {number} has category {entry['category_id']}, which is no "
                f"{'class' if semantic else 'thing'} of {dataset.path}"
            )
        kept_entry = {**entry, "category_id": places[entry["category_id"]]}
        by_image.setdefault(entry["image_id"], []).append(kept_entry)
    return ListedPredictions(path, "semantic" if semantic else "instance", kind, labels, by_image)


class _Masked(msgspec.Struct, frozen=True):
    size: tuple[int, int]
    counts: str


def _check_rle(path: Path, entry: dict[str, Any], size: tuple[int, int]) -> None:
    encoded = convert(path, entry["segmentation"], _Masked)
    problem = mask_problem(CocoRle(encoded.size, encoded.counts), size)
    if problem is not None:
        raise SegrtError(
            f"{path}: a mask of image {entry['image_id']} {problem}; give masks of the image's (height, width)"
        )
