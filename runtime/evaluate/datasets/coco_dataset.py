"""COCO data sets: panoptic (JSON and a folder of PNG files) and instances (JSON)."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.coco_files import (
    CocoCategory,
    CocoImage,
    CocoObject,
    CocoPanopticAnnotation,
    convert,
    labels_of,
    read_json,
)
from segrt.runtime.evaluate.datasets.coco_masks import CocoMask, mask_problem
from segrt.runtime.evaluate.datasets.coco_video import is_video, open_video
from segrt.runtime.evaluate.datasets.dataset import Address, Dataset, ImageId, Sample, checked_image
from segrt.runtime.evaluate.datasets.panoptic_pngs import PanopticDataset
from segrt.runtime.evaluate.datasets.vpsnet import is_flat_video, open_flat_video
from segrt.runtime.evaluate.truth import InstanceTruth
from segrt.runtime.files.images import MOST_PIXELS, Picture
from segrt.runtime.files.reading import is_folder
from segrt.runtime.results import Label

_MOST_CLASSES = 65_534  # the highest number of a class map is void


@dataclass(frozen=True)
class InstanceDataset:
    """A COCO instances data set: objects with polygons or run-length encodings."""

    path: Path
    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]
    objects: dict[ImageId, list[dict[str, Any]]]
    masks: dict[ImageId, list[CocoMask]]

    @property
    def techniques(self) -> tuple[str, ...]:
        """Instance alone."""
        return ("instance",)

    def read_image(self, sample: Sample) -> Picture:
        """Read a sample's picture; raise SegrtError for another size than the JSON says."""
        return checked_image(sample, self.path)

    def read_truth(self, sample: Sample) -> InstanceTruth:
        """Return a sample's objects as `InstanceEvaluator.update` wants them: category_id is the class id."""
        assert sample.size is not None
        for problem in filter(None, (mask_problem(mask, sample.size) for mask in self.masks.get(sample.image_id, []))):
            raise SegrtError(
                f"{self.path}: a mask of image {sample.image_id} {problem}; write masks of the image's (height, width)"
            )
        return InstanceTruth(self.objects.get(sample.image_id, []), sample.size, self.labels)


def open_coco(address: Address) -> Dataset:
    """Open a COCO JSON, panoptic or instances, of pictures or clips, whichever it is; see `open_dataset`."""
    path = Path(address.annotations)
    content = read_json(path)
    folder = address.images if address.images is not None else path.parent / "images"
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise SegrtError(f"{path} has no list of annotations; give a COCO panoptic or COCO instances JSON")
    if not content["annotations"]:
        raise SegrtError(f"{path} holds no annotations; give a file with at least one")
    categories = convert(path, content.get("categories", []), list[CocoCategory])
    if not categories:
        raise SegrtError(f"{path} holds no categories; give a COCO JSON that lists its classes")
    labels = labels_of(path, categories)
    entries = {entry.id: entry for entry in convert(path, content.get("images", []), list[CocoImage])}
    if len(categories) > _MOST_CLASSES:
        raise SegrtError(f"{path} holds {len(categories)} categories, at most {_MOST_CLASSES} are read; leave some out")
    first = content["annotations"][0]
    if is_video(content):
        return open_video(path, content, labels, folder, address.panoptic_dir)
    if is_flat_video(content):
        return open_flat_video(path, content, labels, folder, address.panoptic_dir)
    if isinstance(first, dict) and "segments_info" in first:
        return _panoptic(path, content, labels, entries, folder, address.panoptic_dir)
    return _instances(path, content, labels, entries, folder)


def _sample(
    path: Path, entries: dict[ImageId, CocoImage], image_id: ImageId, folder: Path, annotation: Any = None
) -> Sample:
    if image_id not in entries:
        raise SegrtError(f"{path} annotates image {image_id}, which is not in its images; add it there")
    entry = entries[image_id]
    size = (entry.height, entry.width) if entry.height and entry.width else None
    if entry.height * entry.width > MOST_PIXELS:
        raise SegrtError(
            f"{path} has image {image_id} {entry.width} pixels wide and {entry.height} high, at most {MOST_PIXELS:,} "
            "are read; make it smaller"
        )
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
    panoptic_dir: Path | None,
) -> PanopticDataset:
    annotations = convert(path, content["annotations"], list[CocoPanopticAnnotation])
    png_folder = panoptic_dir if panoptic_dir is not None else path.with_suffix("")
    if not is_folder(png_folder):
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
    masks: dict[ImageId, list[CocoMask]] = {}
    for number, entry in enumerate(content["annotations"]):
        missing = [
            key for key in ("image_id", "category_id", "bbox") if not isinstance(entry, dict) or key not in entry
        ]
        if missing:
            raise SegrtError(f"{path}: annotation {number} has no {missing[0]}; give a COCO instances JSON")
        typed = convert(path, entry, CocoObject)
        if entry["category_id"] not in class_ids:
            raise SegrtError(
                f"{path}: annotation {number} has category {entry['category_id']}, which is not in its categories; "
                "add it or correct the annotation"
            )
        if entry["image_id"] not in entries:
            raise SegrtError(f"{path} annotates image {entry['image_id']}, which is not in its images; add it there")
        area = typed.bbox[2] * typed.bbox[3] if typed.area is None else typed.area
        kept = {
            "category_id": class_ids[entry["category_id"]],
            "iscrowd": int(bool(typed.iscrowd)),
            "area": area,
            "bbox": entry["bbox"],
        }
        if entry.get("segmentation"):
            kept["segmentation"] = entry["segmentation"]
            masks.setdefault(entry["image_id"], []).append(typed.segmentation)
        objects.setdefault(entry["image_id"], []).append(kept)
    samples = _ordered(_sample(path, entries, image_id, folder) for image_id in entries)
    if any(sample.size is None for sample in samples):
        raise SegrtError(f"{path} has images without height or width; COCO instances need both")
    return InstanceDataset(path, labels, samples, objects, masks)
