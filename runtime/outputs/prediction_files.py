"""Predictions as COCO files that `segrt eval --predictions` reads again.

Panoptic: `panoptic.json` beside `panoptic/*.png`. Instance: `instances.json`, COCO's instance results. Semantic:
`stuff.json`, COCO's stuff results: a mask per class and image, without scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import Dataset, Sample
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.results import InstanceResult, Label, SemanticResult, rle
from segrt.runtime.results.coco_format import write_panoptic_json, write_panoptic_png

NAMES = {"semantic": "stuff.json", "instance": "instances.json", "panoptic": "panoptic.json"}


@dataclass(frozen=True)
class PredictionSink:
    """Writes PNG files into a folder at once and hands back the entries of the JSON; see `write`."""

    folder: Path

    def add(self, sample: Sample, prediction: Prediction, match: ClassMatch) -> list[dict[str, Any]]:
        """Save one prediction in the data set's numbering; return its entries."""
        if isinstance(prediction, SemanticResult):
            classes = conversion.class_map(prediction, match)
            return [
                {
                    "image_id": sample.image_id,
                    "category_id": label.dataset_id,
                    "segmentation": _text(rle.encode(classes == index)),
                }
                for index, label in enumerate(match.labels)
                if np.any(classes == index)
            ]
        if isinstance(prediction, InstanceResult | list):
            return [_instance(entry, sample, match.labels) for entry in conversion.detections(prediction, match)]
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
            images = []
            for sample in dataset.samples:
                entry: dict[str, Any] = {"id": sample.image_id, "file_name": sample.image_path.name}
                if sample.size is not None:
                    entry |= {"height": sample.size[0], "width": sample.size[1]}
                images.append(entry)
            write_panoptic_json(path, images, entries, labels)
        else:
            write_atomic(path, msgspec.json.encode(entries) + b"\n")
        return path


def _instance(entry: dict[str, Any], sample: Sample, labels: Sequence[Label]) -> dict[str, Any]:
    kept = {
        "image_id": sample.image_id,
        "category_id": labels[entry["category_id"]].dataset_id,
        "score": entry["score"],
    }
    if "bbox" in entry:
        kept["bbox"] = entry["bbox"]
    if "segmentation" in entry:
        kept["segmentation"] = _text(entry["segmentation"])
    return kept


def _text(code: Any) -> dict[str, Any]:
    counts = code["counts"]
    return {"size": list(code["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}
