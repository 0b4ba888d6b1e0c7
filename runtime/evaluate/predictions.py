"""Evaluating files of predictions, whoever made them: COCO panoptic JSON and PNG, or COCO instance results."""

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.classes import things
from segrt.runtime.evaluate.coco_dataset import (
    CocoPanopticAnnotation,
    Dataset,
    ImageId,
    InstanceDataset,
    PanopticDataset,
    check_segments,
    check_size,
    convert,
    read_json,
)
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.instance import InstanceEvaluator
from segrt.runtime.evaluate.panoptic import PanopticEvaluator
from segrt.runtime.evaluate.segmenting import Progress, check_masks
from segrt.runtime.results import PanopticResult, Segment
from segrt.runtime.results.coco import read_panoptic_png


def evaluate_predictions(
    predictions: "str | os.PathLike[str]",
    dataset: Dataset,
    *,
    predictions_dir: "str | os.PathLike[str] | None" = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a file of predictions against a data set; category ids are the data set's own.

    Args:
        predictions: a COCO panoptic JSON (an object with annotations), or COCO instance results (a list), with masks
            or with boxes alone.
        dataset: of `open_dataset`.
        predictions_dir: the folder of a panoptic JSON's PNG files; by default the JSON's path without its suffix.
        progress: called with (images done, images in all) after each.

    Raises:
        SegrtError: a file is missing, does not fit, or says nothing about an image; the line names it.
    """
    path = Path(predictions)
    content = read_json(path)
    if isinstance(content, list):
        return _instances(path, content, dataset, progress)
    if not isinstance(content, dict) or "annotations" not in content:
        raise SegrtError(f"{path} must be COCO instance results (a list) or a COCO panoptic JSON with annotations")
    if isinstance(dataset, InstanceDataset):
        raise SegrtError(
            f"{path} holds panoptic predictions, but {dataset.path} holds instances; give panoptic annotations"
        )
    folder = Path(predictions_dir) if predictions_dir is not None else path.with_suffix("")
    if not folder.is_dir():
        raise SegrtError(f"{folder} is no folder; give the one with the predicted PNG files as --predictions-dir")
    return _panoptic(path, content, folder, dataset, progress)


def _panoptic(
    path: Path, content: dict[str, Any], folder: Path, dataset: PanopticDataset, progress: Progress | None
) -> Evaluation:
    annotations = convert(path, content["annotations"], list[CocoPanopticAnnotation])
    by_image = {annotation.image_id: annotation for annotation in annotations}
    evaluator = PanopticEvaluator(dataset.labels)
    class_ids = {label.dataset_id: index for index, label in enumerate(dataset.labels)}
    for done, sample in enumerate(dataset.samples, start=1):
        annotation = by_image.get(sample.image_id)
        if annotation is None:
            raise SegrtError(f"{path} has no prediction for image {sample.image_id} of {dataset.path}; add it")
        truth = dataset.read_truth(sample)
        png = folder / annotation.file_name
        ids = read_panoptic_png(png)
        check_size(png, (int(ids.shape[0]), int(ids.shape[1])), truth.size, dataset.path)
        check_segments(png, ids, annotation, class_ids, path)
        segments = []
        for entry in annotation.segments_info:
            class_id = class_ids[entry.category_id]
            thing = dataset.labels[class_id].isthing
            segments.append(Segment(entry.id, class_id, thing, entry.score, 0, (0, 0, 0, 0)))
        evaluator.update(PanopticResult(ids, segments, dataset.labels), truth)
        if progress is not None:
            progress(done, len(dataset.samples))
    return evaluator.result()


def _instances(path: Path, content: list[Any], dataset: Dataset, progress: Progress | None) -> Evaluation:
    kept = things(dataset.labels)
    labels = tuple(dataset.labels[index] for index in kept)
    places = {label.dataset_id: index for index, label in enumerate(labels)}
    known = {sample.image_id for sample in dataset.samples}
    kind: Literal["segm", "bbox"] = "bbox" if content and "segmentation" not in content[0] else "segm"
    by_image: dict[ImageId, list[dict[str, Any]]] = {}
    key = "segmentation" if kind == "segm" else "bbox"
    for number, entry in enumerate(content):
        missing = [
            field
            for field in ("image_id", "category_id", "score", key)
            if not isinstance(entry, dict) or field not in entry
        ]
        if missing:
            raise SegrtError(f"{path}: result {number} has no {missing[0]}; give COCO instance results")
        if entry["image_id"] not in known:
            raise SegrtError(f"{path}: result {number} is of image {entry['image_id']}, which {dataset.path} lacks")
        if entry["category_id"] not in places:
            raise SegrtError(
                f"{path}: result {number} has category {entry['category_id']}, which is no thing of {dataset.path}"
            )
        kept_entry = {**entry, "category_id": places[entry["category_id"]]}
        by_image.setdefault(entry["image_id"], []).append(kept_entry)
    evaluator = InstanceEvaluator(labels, kind=kind)
    thing_place = {class_id: index for index, class_id in enumerate(kept)}
    for done, sample in enumerate(dataset.samples, start=1):
        if isinstance(dataset, InstanceDataset):
            objects, size = dataset.read_objects(sample), sample.size
        else:
            truth = dataset.read_truth(sample)
            objects, size = truth.objects(), truth.size
        assert size is not None
        located = [{**entry, "category_id": thing_place[entry["category_id"]]} for entry in objects]
        found = by_image.get(sample.image_id, [])
        if kind == "segm":
            check_masks(objects, sample, dataset)
            for entry in found:
                _check_rle(path, entry, size)
        evaluator.update(found, located, size)
        if progress is not None:
            progress(done, len(dataset.samples))
    return evaluator.result()


class _RleJson(msgspec.Struct, frozen=True):
    size: tuple[int, int]
    counts: str


def _check_rle(path: Path, entry: dict[str, Any], size: tuple[int, int]) -> None:
    encoded = convert(path, entry["segmentation"], _RleJson)
    if encoded.size != size:
        raise SegrtError(
            f"{path}: a mask of image {entry['image_id']} is {list(encoded.size)}, but the image is {list(size)}; "
            "give masks of the image's (height, width)"
        )
