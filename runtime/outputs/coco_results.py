"""Results as COCO's files: a PNG of segment ids for each picture beside one JSON, and lists of instances or stuff.

Formats: https://cocodataset.org/#format-data and #format-results.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.results import InstanceResult, Label, PanopticResult, rle
from segrt.runtime.results.coco_format import encode_panoptic_png

ImageId = int | str


def categories(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Return the `categories` of a COCO panoptic JSON: ids are the labels' `dataset_id`s."""
    return [
        {"id": label.dataset_id, "name": label.name, "isthing": int(label.isthing), "color": list(label.color)}
        for label in labels
    ]


def image_entry(image_id: ImageId, file_name: str, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a picture's entry in `images`; `size` is (H, W) in pixels, left out where it is not known."""
    entry: dict[str, Any] = {"id": image_id, "file_name": file_name}
    return entry if size is None else {**entry, "height": size[0], "width": size[1]}


def instance_entry(
    image_id: ImageId,
    category_id: int,
    score: float,
    *,
    bbox: Sequence[float] | None = None,
    mask: "rle.Rle | Mapping[str, Any] | None" = None,
) -> dict[str, Any]:
    """Return one object's entry of COCO's instance results; `bbox` is [x, y, width, height], `mask` its run lengths."""
    entry: dict[str, Any] = {"image_id": image_id, "category_id": category_id}
    if bbox is not None:
        entry["bbox"] = list(bbox)
    entry["score"] = score
    if mask is not None:
        entry["segmentation"] = rle.text(mask)
    return entry


def instance_entries(result: InstanceResult, image_id: ImageId) -> list[dict[str, Any]]:
    """Return a picture's entries of COCO's instance results, boxes to a thousandth of a pixel."""
    entries = []
    for box, score, class_id, encoded in zip(result.boxes, result.scores, result.class_ids, result.rles, strict=True):
        left, top, right, bottom = (round(float(side), 3) for side in box)
        bbox = [left, top, round(right - left, 3), round(bottom - top, 3)]
        category_id = result.labels[int(class_id)].dataset_id
        entries.append(instance_entry(image_id, category_id, round(float(score), 6), bbox=bbox, mask=encoded))
    return entries


def stuff_entries(classes: npt.NDArray[Any], labels: Sequence[Label], image_id: ImageId) -> list[dict[str, Any]]:
    """Return a picture's entries of COCO's stuff results: a mask for each class that occurs, without a score.

    `classes` are integers (H, W), positions in `labels`; other values belong to no class.
    """
    entries = []
    for position, label in enumerate(labels):
        mask = classes == position
        if np.any(mask):
            entry = {"image_id": image_id, "category_id": label.dataset_id, "segmentation": rle.text(rle.encode(mask))}
            entries.append(entry)
    return entries


def write_panoptic_png(path: "str | os.PathLike[str]", segment_ids: npt.NDArray[Any]) -> None:
    """Write `segment_ids` (H, W) as COCO's panoptic PNG, whole or not at all; the folder must exist."""
    write_atomic(Path(path), encode_panoptic_png(segment_ids))


def write_panoptic_json(
    path: "str | os.PathLike[str]",
    images: Iterable[dict[str, Any]],
    annotations: Iterable[dict[str, Any]],
    labels: Sequence[Label],
) -> None:
    """Write COCO's panoptic JSON; `images` are of `image_entry`, `annotations` of `PanopticResult.to_coco`."""
    content = {"images": list(images), "annotations": list(annotations), "categories": categories(labels)}
    write_atomic(Path(path), msgspec.json.encode(content) + b"\n")


class PanopticFolder:
    """Collects panoptic results as COCO files: `NAME/*.png` beside `NAME.json`, as the data set has them.

    A context manager: the JSON is written on leaving, also when an exception ends the work, so that what was added
    stays readable.
    """

    def __init__(self, json_path: "str | os.PathLike[str]", labels: Sequence[Label]) -> None:
        self.json_path = Path(json_path)
        self.png_folder = self.json_path.with_suffix("")
        self._labels = tuple(labels)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, result: PanopticResult, image_id: ImageId, file_name: str) -> None:
        """Write the PNG of `file_name`'s result now and keep its annotation for the JSON."""
        png_name = Path(file_name).with_suffix(".png").name
        write_panoptic_png(make_folder(self.png_folder) / png_name, result.segment_ids)
        self._images.append(image_entry(image_id, file_name, result.size))
        self._annotations.append(result.to_coco(image_id, png_name))

    def write(self) -> None:
        """Write the JSON of all that was added so far."""
        write_panoptic_json(self.json_path, self._images, self._annotations, self._labels)

    def __enter__(self) -> "PanopticFolder":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write the JSON."""
        self.write()
