"""Panoptic results as COCO's files: a PNG of segment ids for each picture beside one JSON.

Formats: https://cocodataset.org/#format-data and #format-results.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.results import Label, PanopticResult
from segrt.runtime.results.coco_entries import ImageId
from segrt.runtime.results.coco_format import encode_panoptic_png
from segrt.runtime.results.labels.class_lists import unused_name


def categories(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Return the `categories` of a COCO panoptic JSON: ids are the labels' `dataset_id`s."""
    return [
        {"id": label.dataset_id, "name": label.name, "isthing": int(label.isthing), "color": list(label.color)}
        for label in labels
    ]


def meant(listed: Sequence[dict[str, Any]], used: Collection[int]) -> list[dict[str, Any]]:
    """Return those of `categories` that stand for a class, or are `used`: gaps of a numbering, "unused N", do not."""
    return [entry for entry in listed if entry["id"] in used or entry["name"] != unused_name(entry["id"])]


def categories_of(annotations: Iterable[dict[str, Any]]) -> set[int]:
    """Return the ids of the categories that occur in annotations of `PanopticResult.to_coco`."""
    return {segment["category_id"] for annotation in annotations for segment in annotation["segments_info"]}


def image_entry(image_id: ImageId, file_name: str, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a picture's entry in `images`; `size` is (H, W) in pixels, left out where it is not known."""
    entry: dict[str, Any] = {"id": image_id, "file_name": file_name}
    return entry if size is None else {**entry, "height": size[0], "width": size[1]}


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
    annotations = list(annotations)
    listed = meant(categories(labels), categories_of(annotations))
    content = {"images": list(images), "annotations": annotations, "categories": listed}
    write_atomic(Path(path), encode_json(content) + b"\n")


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
