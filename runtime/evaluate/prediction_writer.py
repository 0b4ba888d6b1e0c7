"""Predictions as COCO files that `segrt eval --predictions` reads again, in the data set's own category ids.

Panoptic: `panoptic.json` beside `panoptic/*.png`. Instance: `instances.json`, COCO's instance results. Semantic:
`stuff.json`, COCO's stuff results: a mask per class and image, without scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import Dataset, Sample
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.outputs.coco_results import (
    image_entry,
    instance_entry,
    stuff_entries,
    write_panoptic_json,
    write_panoptic_png,
)
from segrt.runtime.results import InstanceResult, Label, SemanticResult

NAMES = {"semantic": "stuff.json", "instance": "instances.json", "panoptic": "panoptic.json"}


@dataclass(frozen=True)
class PredictionSink:
    """Writes PNG files into a folder at once and hands back the entries of the JSON; see `write`."""

    folder: Path

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
        name = f"{Path(str(sample.image_id)).name}.png"
        write_panoptic_png(make_folder(self.folder / "panoptic") / name, result.segment_ids)
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
            write_atomic(path, msgspec.json.encode(entries) + b"\n")
        return path
