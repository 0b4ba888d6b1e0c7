"""Predictions as COCO files that `segrt eval --predictions` reads again, in the data set's own category ids.

Panoptic: `panoptic.json` beside `panoptic/*.png`. Instance: `instances.json`, COCO's instance results. Semantic:
`stuff.json`, COCO's stuff results: a mask per class and image, without scores.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import Dataset, ImageId, Sample
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.coco_results import image_entry, write_panoptic_json, write_panoptic_png
from segrt.runtime.results import InstanceResult, Label, SemanticResult
from segrt.runtime.results.coco_entries import instance_entry, stuff_entries

_LONGEST_NAME = 230  # bytes of a file's name: with what it is called while it is written, 255
NAMES = {"semantic": "stuff.json", "instance": "instances.json", "panoptic": "panoptic.json"}


@dataclass
class PredictionSink:
    """Writes PNG files into a folder at once and hands back the entries of the JSON; see `write`."""

    folder: Path

    def check(self, technique: str, dataset: Dataset) -> None:
        """Raise SegrtError, before the work, when two images would be saved under one id or in one file."""
        taken: dict[str, ImageId] = {}
        for image_id in _each_once(dataset):
            if technique != "panoptic":
                continue
            name = png_name(image_id)
            longest = max(len(os.fsencode(part)) for part in name.split("/"))
            if longest > _LONGEST_NAME or "\0" in name:
                raise SegrtError(f"{dataset.path}: no file can be named after image {str(image_id)[:60]!r}; rename it")
            if name in taken:
                raise SegrtError(
                    f"{dataset.path}: images {taken[name]!r} and {image_id!r} would both be saved as {name}; "
                    "give them ids that differ as file names"
                )
            taken[name] = image_id
        for name, image_id in taken.items():
            for folder in PurePosixPath(name).parents:
                if str(folder) in taken:
                    raise SegrtError(
                        f"{dataset.path}: image {taken[str(folder)]!r} would be saved as {folder}, which is a folder "
                        f"for image {image_id!r}; give them ids that differ as file names"
                    )

    def add(self, sample: Sample, prediction: Prediction, match: ClassMatch) -> list[dict[str, Any]]:
        """Save one prediction in the data set's numbering; return its entries."""
        if isinstance(prediction, SemanticResult):
            return stuff_entries(conversion.class_map(prediction, match), match.labels, sample.image_id)
        if isinstance(prediction, InstanceResult | list):
            return [
                instance_entry(
                    sample.image_id,
                    match.labels[detection["category_id"]].dataset_id,
                    detection["score"],
                    bbox=detection.get("bbox"),
                    mask=detection.get("segmentation"),
                )
                for detection in conversion.detections(prediction, match)
            ]
        result = conversion.panoptic(prediction, match)
        if isinstance(result, PanopticTruth):
            result = result.to_result()
        name = png_name(sample.image_id)
        path = self.folder / "panoptic" / name
        make_folder(path.parent)
        write_panoptic_png(path, result.segment_ids)
        return [result.to_coco(sample.image_id, name)]

    def write(
        self, technique: str, entries: Sequence[dict[str, Any]], dataset: Dataset, labels: Sequence[Label]
    ) -> Path:
        """Write the JSON of all entries; return its path."""
        path = make_folder(self.folder) / NAMES[technique]
        if technique == "panoptic":
            images = [image_entry(sample.image_id, sample.image_path.name, sample.size) for sample in dataset.samples]
            write_panoptic_json(path, images, entries, labels)
        else:
            write_atomic(path, encode_json(entries) + b"\n")
        return path


def _each_once(dataset: Dataset) -> Iterator[ImageId]:
    """Yield the ids of the data set's images; raise SegrtError for one that comes twice."""
    seen: set[ImageId] = set()
    for sample in dataset.samples:
        if sample.image_id in seen:
            raise SegrtError(f"{dataset.path}: has image {sample.image_id!r} twice; --save needs ids that are unique")
        seen.add(sample.image_id)
        yield sample.image_id


def png_name(image_id: ImageId) -> str:
    """Return the PNG of an image, below the folder of all: "cam1/0001" → "cam1/0001.png"; never outside of it."""
    parts = [part for part in PurePosixPath(str(image_id)).parts if part not in ("/", "//", "..")]
    return "/".join(parts) + ".png"
