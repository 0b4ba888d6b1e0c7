"""COCO data sets: panoptic (JSON and a folder of PNG files) and instances (JSON)."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.dataset import Dataset, ImageId, Sample
from segrt.runtime.evaluate.datasets.street_dataset import SCHEME, open_street
from segrt.runtime.evaluate.truth import InstanceTruth, PanopticTruth, TruthSegment
from segrt.runtime.files.images import read_image
from segrt.runtime.results import Label
from segrt.runtime.results.coco_format import read_panoptic_picture
from segrt.runtime.results.labels.palette import label_color


class CocoImage(msgspec.Struct, frozen=True):
    """An entry of `images`."""

    id: ImageId
    file_name: str = ""
    height: int = 0
    width: int = 0


class CocoCategory(msgspec.Struct, frozen=True):
    """An entry of `categories`; `isthing` is only in panoptic files, and classes of instances are things."""

    id: int
    name: str
    isthing: int = 1
    color: tuple[int, int, int] | None = None


class CocoSegment(msgspec.Struct, frozen=True):
    """An entry of a panoptic annotation's `segments_info`; `score` is in some predictions."""

    id: int
    category_id: int
    iscrowd: int = 0
    score: float = 1.0


class CocoPanopticAnnotation(msgspec.Struct, frozen=True):
    """An entry of a panoptic file's `annotations`: one image."""

    image_id: ImageId
    file_name: str
    segments_info: tuple[CocoSegment, ...]


@dataclass(frozen=True)
class PanopticDataset:
    """A COCO panoptic data set; it serves all three techniques."""

    path: Path
    png_folder: Path
    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]

    @property
    def techniques(self) -> tuple[str, ...]:
        """All three."""
        return ("semantic", "instance", "panoptic")

    def read_image(self, sample: Sample) -> npt.NDArray[np.uint8]:
        """Read a sample's picture; raise SegrtError for another size than the JSON says."""
        return checked_image(sample, self.path)

    def read_truth(self, sample: Sample) -> PanopticTruth:
        """Read a sample's truth; its class ids are positions in `labels`.

        Raises SegrtError for a missing or damaged PNG, one of another size than the JSON says, one that holds a
        segment that the JSON lacks, and a category that the JSON lacks.
        """
        png = self.png_folder / sample.annotation.file_name
        return read_panoptic(png, sample.annotation, self.labels, sample.size, self.path)


@dataclass(frozen=True)
class InstanceDataset:
    """A COCO instances data set: objects with polygons or run-length encodings."""

    path: Path
    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]
    objects: dict[ImageId, list[dict[str, Any]]]

    @property
    def techniques(self) -> tuple[str, ...]:
        """Instance alone."""
        return ("instance",)

    def read_image(self, sample: Sample) -> npt.NDArray[np.uint8]:
        """Read a sample's picture; raise SegrtError for another size than the JSON says."""
        return checked_image(sample, self.path)

    def read_truth(self, sample: Sample) -> InstanceTruth:
        """Return a sample's objects as `InstanceEvaluator.update` wants them: category_id is the class id."""
        assert sample.size is not None
        return InstanceTruth(self.objects.get(sample.image_id, []), sample.size, self.labels)


_Content = TypeVar("_Content")


def open_dataset(
    annotations: "str | os.PathLike[str]",
    images: "str | os.PathLike[str] | None" = None,
    panoptic_dir: "str | os.PathLike[str] | None" = None,
    *,
    labels: Sequence[Label] | None = None,
    ignored: Sequence[int] = (),
) -> Dataset:
    """Open a COCO JSON, panoptic or instances, whichever it is, or a street world by its address.

    Args:
        annotations: the JSON file, or `street://?seed=…&frames=…&size=HEIGHTxWIDTH`; or a
            folder of label pictures, see `label_folders`.
        images: the folder of the pictures; by default `images` beside the JSON.
        panoptic_dir: the folder of the panoptic PNG files; by default the JSON's path without its suffix, as COCO has
            it.
        labels: the classes of a folder of label pictures; a JSON names its own.
        ignored: the ids of label pictures that are void.

    Raises:
        SegrtError: the file is missing, no COCO JSON, or holds no annotations.
    """
    if str(annotations).startswith(SCHEME):
        return open_street(str(annotations))
    path = Path(annotations)
    if path.is_dir():
        from segrt.runtime.evaluate.datasets.label_folders import open_label_folder

        return open_label_folder(path, Path(images) if images is not None else None, labels, ignored)
    content = read_json(path)
    folder = Path(images) if images is not None else path.parent / "images"
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise SegrtError(f"{path} has no list of annotations; give a COCO panoptic or COCO instances JSON")
    if not content["annotations"]:
        raise SegrtError(f"{path} holds no annotations; give a file with at least one")
    categories = convert(path, content.get("categories", []), list[CocoCategory])
    if not categories:
        raise SegrtError(f"{path} holds no categories; give a COCO JSON that lists its classes")
    labels = _labels(path, categories)
    entries = {entry.id: entry for entry in convert(path, content.get("images", []), list[CocoImage])}
    if "segments_info" in content["annotations"][0]:
        return _panoptic(path, content, labels, entries, folder, panoptic_dir)
    return _instances(path, content, labels, entries, folder)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raise SegrtError when it is missing, empty or no JSON."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    if not data.strip():
        raise SegrtError(f"{path} is empty; give a COCO JSON")
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise SegrtError(f"{path} is no valid JSON ({error}); it may be truncated: copy it again") from None


def convert(path: Path, value: Any, kind: type[_Content]) -> _Content:
    """Return `value` as `kind`; raise SegrtError that names the file and the field that does not fit."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise SegrtError(
            f"{path} is no valid COCO JSON: {error}; write it as https://cocodataset.org/#format-data says"
        ) from None


def check_size(file: Path, size: tuple[int, int], expected: tuple[int, int] | None, source: Path | str) -> None:
    """Raise SegrtError when the (height, width) of `file` is not the one that `source` states."""
    if expected is not None and size != expected:
        raise SegrtError(
            f"{file} is {size[1]}x{size[0]} pixels, but {expected[1]}x{expected[0]} by {source}; "
            "give files that belong together"
        )


def checked_image(sample: Sample, source: Path) -> npt.NDArray[np.uint8]:
    """Return a sample's picture, uint8 BGR (H, W, 3); raise SegrtError when its size is not the one stated."""
    image = read_image(sample.image_path)
    check_size(sample.image_path, (int(image.shape[0]), int(image.shape[1])), sample.size, source)
    return image


def read_panoptic(
    png: Path,
    annotation: CocoPanopticAnnotation,
    labels: Sequence[Label],
    size: tuple[int, int] | None,
    source: Path,
    *,
    size_source: Path | str | None = None,
) -> PanopticTruth:
    """Read a panoptic PNG and what its annotation, of the JSON `source`, says of it.

    Raises SegrtError when it cannot be read, is not of `size` (which `size_source` or `source` states), and for an
    unknown category. That the PNG holds the segments of the annotation and no others is for `verify` to say, or for
    the PQ evaluator, which counts them anyway.
    """
    picture = read_panoptic_picture(png)
    check_size(png, (int(picture.shape[0]), int(picture.shape[1])), size, size_source or source)
    class_ids = {label.dataset_id: index for index, label in enumerate(labels)}
    _check_segments(annotation, class_ids, source)
    segments = tuple(
        TruthSegment(segment.id, class_ids[segment.category_id], bool(segment.iscrowd), segment.score)
        for segment in annotation.segments_info
    )
    return PanopticTruth(picture, segments, tuple(labels), partial(_refuse_segments, png, source))


def _check_segments(annotation: CocoPanopticAnnotation, class_ids: dict[int, int], source: Path) -> None:
    """Raise SegrtError when an annotation names a segment twice, an id that no colour has, or an unknown category."""
    listed = [segment.id for segment in annotation.segments_info]
    if len(set(listed)) != len(listed):
        raise SegrtError(f"{source} lists a segment of {annotation.file_name} twice; each id must be unique")
    for segment in annotation.segments_info:
        if not 0 < segment.id < 1 << 24:
            raise SegrtError(
                f"{source} gives a segment of {annotation.file_name} the id {segment.id}; ids are 1 to {(1 << 24) - 1}"
            )
        if segment.category_id not in class_ids:
            raise SegrtError(
                f"{source} gives segment {segment.id} of {annotation.file_name} the category {segment.category_id}, "
                "which is not in its categories; add it or correct the segment"
            )


def _refuse_segments(png: Path, source: Path, image: PanopticTruth) -> None:
    present = set(np.unique(image.segment_ids).tolist())
    strange, lost = present - set(image.known_ids), set(image.known_ids[1:]) - present
    if strange:
        raise SegrtError(
            f"{png} holds segment {min(strange)}, which {source} does not list for it; "
            "give a PNG and a JSON that belong together"
        )
    raise SegrtError(
        f"{source} lists segment {min(lost)} for {png}, which does not hold it; "
        "give a PNG and a JSON that belong together"
    )


def _labels(path: Path, categories: Sequence[CocoCategory]) -> tuple[Label, ...]:
    seen: set[int] = set()
    for category in categories:
        if category.id in seen:
            raise SegrtError(f"{path} has category {category.id} twice; each id must be unique")
        seen.add(category.id)
    try:
        return tuple(
            Label(
                category.name, category.id, bool(category.isthing), category.color or label_color(category.name, index)
            )
            for index, category in enumerate(categories)
        )
    except ValueError as error:
        raise SegrtError(f"{path}: {error}; correct its categories") from None


def _sample(
    path: Path, entries: dict[ImageId, CocoImage], image_id: ImageId, folder: Path, annotation: Any = None
) -> Sample:
    if image_id not in entries:
        raise SegrtError(f"{path} annotates image {image_id}, which is not in its images; add it there")
    entry = entries[image_id]
    size = (entry.height, entry.width) if entry.height and entry.width else None
    return Sample(image_id, folder / entry.file_name, size, annotation)


def _ordered(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return the samples by image id: AP ranks detections of equal score in this order, as pycocotools does."""
    return tuple(sorted(samples, key=lambda sample: (isinstance(sample.image_id, str), sample.image_id)))


def _panoptic(
    path: Path,
    content: dict[str, Any],
    labels: tuple[Label, ...],
    entries: dict[ImageId, CocoImage],
    folder: Path,
    panoptic_dir: "str | os.PathLike[str] | None",
) -> PanopticDataset:
    annotations = convert(path, content["annotations"], list[CocoPanopticAnnotation])
    png_folder = Path(panoptic_dir) if panoptic_dir is not None else path.with_suffix("")
    if not png_folder.is_dir():
        raise SegrtError(f"{png_folder} is no folder; give the one with the panoptic PNG files as --panoptic-dir")
    samples = _ordered(_sample(path, entries, entry.image_id, folder, entry) for entry in annotations)
    return PanopticDataset(path, png_folder, labels, samples)


def _instances(
    path: Path,
    content: dict[str, Any],
    labels: tuple[Label, ...],
    entries: dict[ImageId, CocoImage],
    folder: Path,
) -> InstanceDataset:
    class_ids = {label.dataset_id: index for index, label in enumerate(labels)}
    objects: dict[ImageId, list[dict[str, Any]]] = {}
    for number, entry in enumerate(content["annotations"]):
        missing = [key for key in ("image_id", "category_id", "bbox") if key not in entry]
        if missing:
            raise SegrtError(f"{path}: annotation {number} has no {missing[0]}; give a COCO instances JSON")
        if entry["category_id"] not in class_ids:
            raise SegrtError(
                f"{path}: annotation {number} has category {entry['category_id']}, which is not in its categories; "
                "add it or correct the annotation"
            )
        if entry["image_id"] not in entries:
            raise SegrtError(f"{path} annotates image {entry['image_id']}, which is not in its images; add it there")
        area = entry.get("area", entry["bbox"][2] * entry["bbox"][3])
        kept = {
            "category_id": class_ids[entry["category_id"]],
            "iscrowd": int(entry.get("iscrowd", 0)),
            "area": area,
            "bbox": entry["bbox"],
        }
        if entry.get("segmentation"):
            kept["segmentation"] = entry["segmentation"]
        objects.setdefault(entry["image_id"], []).append(kept)
    samples = _ordered(_sample(path, entries, image_id, folder) for image_id in entries)
    if any(sample.size is None for sample in samples):
        raise SegrtError(f"{path} has images without height or width; COCO instances need both")
    return InstanceDataset(path, labels, samples, objects)
