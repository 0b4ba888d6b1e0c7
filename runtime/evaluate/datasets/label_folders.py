"""Folders of label pictures: Cityscapes, Pascal VOC and ADE20K as they are unpacked, and any picture + label folders.

A label picture holds a class for every pixel: its id in the data set's numbering (grey or palette PNG), or its colour
(RGB PNG, as CamVid's). Where object ids lie beside them (Cityscapes' instanceIds, VOC's SegmentationObject), the data
set serves all three techniques.
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError, SegrtError, one_line
from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.evaluate.datasets.dataset import Address, DatasetKind, Sample, checked_image
from segrt.runtime.evaluate.datasets.label_values import IGNORED, LabelValues
from segrt.runtime.evaluate.truth import PanopticTruth, SemanticTruth, TruthSegment
from segrt.runtime.files.images import MOST_PIXELS, SUFFIXES, Picture, check_picture, read_picture_file
from segrt.runtime.files.picture_size import picture_size
from segrt.runtime.files.rasters import ARRAYS
from segrt.runtime.files.reading import is_folder, is_regular, read_bytes
from segrt.runtime.results import Label

_ENDINGS = ("_L", "_gt", "_label", "_labels", "_mask")
_OBJECTS = 1000  # a segment's id is (class + 1) * 1000 + its object's number


@dataclass(frozen=True)
class LabelFiles:
    """The label picture of a sample, and the picture of its objects where there is one."""

    classes: Path
    objects: Path | None = None


@dataclass(frozen=True)
class LabelFolder:
    """A data set of label pictures, whose values `values` explains."""

    path: Path
    values: LabelValues
    samples: tuple[Sample, ...]
    cityscapes: bool = False

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes."""
        return self.values.labels

    @property
    def techniques(self) -> tuple[str, ...]:
        """All three where every label picture has its objects."""
        whole = all(sample.annotation.objects is not None for sample in self.samples)
        return TECHNIQUES if whole else ("semantic",)

    def read_image(self, sample: Sample) -> Picture:
        """Read a sample's picture."""
        return checked_image(sample, self.path)

    def read_truth(self, sample: Sample) -> SemanticTruth | PanopticTruth:
        """Read a sample's label picture; raise SegrtError for one that is missing or holds an unknown id or colour."""
        files: LabelFiles = sample.annotation
        classes = self.values.class_map(read_label_picture(files.classes), files.classes)
        if files.objects is None:
            return SemanticTruth(classes, self.labels)
        return self._panoptic(classes, files.objects)

    def missing_truth(self, true_pixels: Sequence[int], void: int) -> tuple[str, bool] | None:
        """Return what is suspicious of the true pixels of all pictures; see `LabelValues.missing`."""
        return self.values.missing(true_pixels, void)

    def _panoptic(self, classes: npt.NDArray[Any], path: Path) -> PanopticTruth:
        picture = read_label_picture(path)
        if picture.shape != classes.shape:
            raise SegrtError(
                f"{path} is {picture.shape[1]} pixels wide and {picture.shape[0]} high, but its classes "
                f"{classes.shape[1]} wide and {classes.shape[0]} high; give files that belong together"
            )
        objects = picture.astype(np.int32)
        if self.cityscapes:
            objects = np.where(objects >= _OBJECTS, objects % _OBJECTS + 1, 0)
        else:
            objects[objects == IGNORED] = 0
        thing = np.array([*(label.isthing for label in self.labels), False])
        place = np.minimum(classes, len(self.labels)).astype(np.int32)
        ids = (place + 1) * _OBJECTS + np.where(thing[place], objects, 0)
        ids[place == len(self.labels)] = 0
        segments = []
        for value in np.unique(ids).tolist():
            if value:
                class_id, number = value // _OBJECTS - 1, value % _OBJECTS
                # A thing without a number is a group of objects that nobody told apart.
                crowd = self.labels[class_id].isthing and number == 0
                segments.append(TruthSegment(value, class_id, crowd))
        return PanopticTruth(ids.astype(np.int32), tuple(segments), self.labels)


def open_label_folder(address: Address) -> LabelFolder:
    """Open a folder of label pictures, whichever layout it has.

    It is Cityscapes' root, its gtFine or a split of that; VOC's year (with SegmentationClass); ADE20K's root (with
    annotations/validation); or any folder of label pictures, whose pictures are in `images` beside it. A label
    picture's ids are the `dataset_id`s of the address's labels; void are its ignored ids, 255 by default, and ADE20K's
    0; its `mapped` values stand for other ids. Raises SegrtError when there is no label picture, or a picture is
    missing; the line names it.
    """
    folder, images, labels = Path(address.annotations), address.images, address.labels
    file = _json_instead(folder)
    if file is not None:
        raise SegrtError(f"{folder} holds no label pictures; give {file}")
    if not labels:
        raise SegrtError(f"{folder} does not name its classes; give --labels FILE, or a bundle whose classes they are")
    strict = True
    usual = set() if address.ignored else {IGNORED}
    city = _city_files(folder)
    if city:
        # Cityscapes' other labels are not evaluated.
        samples, strict = _cityscapes(city, images), False
    elif is_folder(folder / "SegmentationClass"):
        samples = _voc(folder, images)
    else:
        root = folder / "annotations" / "validation"
        if is_folder(root):
            usual |= {0}
            samples = _plain(root, images or folder / "images" / "validation")
        else:
            samples = _plain(folder, images or folder.parent / "images")
    if not samples:
        raise SegrtError(f"{folder} holds no label pictures; give a COCO JSON or a folder of PNG files")
    values = LabelValues(labels, frozenset(address.ignored), frozenset(usual), address.mapped, strict)
    return LabelFolder(folder, values, tuple(samples), bool(city))


LABEL_FOLDER = DatasetKind(lambda address: is_folder(Path(address.annotations)), open_label_folder, has_values=True)


def read_label_picture(path: Path) -> npt.NDArray[Any]:
    """Return a label picture: ids (H, W) of a grey or palette one, uint8 RGB (H, W, 3) of a coloured one."""
    from PIL import Image

    if not is_regular(path):
        raise ImageError(f"{path} does not exist; give the folder that holds the label pictures")
    data = read_picture_file(path)
    if picture_size(data):
        check_picture(data, str(path))
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as picture:
            warnings.simplefilter("ignore")  # of what it can mend
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width} pixels wide and {picture.height} high, more than {MOST_PIXELS:,}")
            if picture.mode in ("RGBA", "LA", "PA", "CMYK", "YCbCr"):
                picture = picture.convert("RGB")
            array = np.asarray(picture)
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise ImageError(f"{path} is no readable picture ({one_line(error)}); fetch it again") from None
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iu" or array.ndim not in (2, 3):
        raise ImageError(f"{path} must hold class ids or colours, but is {array.dtype} {array.shape}")
    return array


def _city_files(folder: Path) -> list[Path]:
    root = folder / "gtFine"
    root = root / "val" if is_folder(root / "val") else root if is_folder(root) else folder
    return sorted(root.rglob("*_gtFine_labelIds.png"))


def _cityscapes(files: Sequence[Path], images: Path | None) -> list[Sample]:
    samples = []
    for path in files:
        stem = path.name.removesuffix("_gtFine_labelIds.png")
        objects = path.with_name(f"{stem}_gtFine_instanceIds.png")
        name = f"{stem}_leftImg8bit.png"
        if images is not None:
            places = (images / path.parent.name / name, images / name)
            image = next((place for place in places if is_regular(place)), None)
        else:
            parts = ["leftImg8bit" if part == "gtFine" else part for part in path.parent.parts]
            image = Path(*parts) / name
        if image is None or not is_regular(image):
            raise SegrtError(f"{path} has no picture {image or name}; give the folder of the pictures as --images")
        samples.append(Sample(stem, image, None, LabelFiles(path, objects if is_regular(objects) else None)))
    return samples


def _voc(folder: Path, images: Path | None) -> list[Sample]:
    listed = folder / "ImageSets" / "Segmentation" / "val.txt"
    stems = _listed(listed) if is_regular(listed) else None
    if stems is None:
        stems = sorted(path.stem for path in (folder / "SegmentationClass").glob("*.png"))
    pictures = _Pictures(images or folder / "JPEGImages")
    samples = []
    for stem in stems:
        objects = folder / "SegmentationObject" / f"{stem}.png"
        files = LabelFiles(folder / "SegmentationClass" / f"{stem}.png", objects if is_regular(objects) else None)
        samples.append(Sample(stem, pictures.find(stem, files.classes), None, files))
    return samples


def _listed(path: Path) -> list[str]:
    """Return the names in a list of a data set's pictures; raise SegrtError for what is no text."""
    try:
        return read_bytes(path).decode().split()
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except UnicodeDecodeError:
        raise SegrtError(f"{path}: is no text; give a list with a name in each line") from None


def _plain(folder: Path, images: Path) -> list[Sample]:
    if not is_folder(folder):
        raise SegrtError(f"{folder} does not exist; give a COCO JSON or a folder of label pictures")
    pictures = _Pictures(images)
    return [
        Sample(path.stem, pictures.find(path.stem, path), None, LabelFiles(path)) for path in _label_pictures(folder)
    ]


def _label_pictures(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".png", ".bmp", ".tif", ".tiff") and not path.name.startswith("."):
            yield path


def _json_instead(folder: Path) -> Path | None:
    """Return the COCO JSON in a folder that has neither label pictures nor the layout of a data set of them."""
    if any(is_folder(folder / name) for name in ("gtFine", "SegmentationClass", "annotations")):
        return None
    files = sorted(folder.glob("*.json"), key=lambda file: (file.name != "panoptic.json", file.name))
    return files[0] if files and not any(_label_pictures(folder)) else None


class _Pictures:
    """The pictures of a folder by stem."""

    def __init__(self, folder: Path) -> None:
        if not is_folder(folder):
            raise SegrtError(f"{folder} is no folder; give that of the pictures as --images")
        self._folder = folder
        files = sorted(folder.iterdir())
        self._by_stem = {path.stem: path for path in files if path.suffix.lower() in ARRAYS}
        self._by_stem |= {path.stem: path for path in files if path.suffix.lower() in SUFFIXES}

    def find(self, stem: str, label: Path) -> Path:
        """Return the picture of a label picture, whose name may end in _L, _gt and the like."""
        for name in (stem, *(stem.removesuffix(ending) for ending in _ENDINGS)):
            if name in self._by_stem:
                return self._by_stem[name]
        raise SegrtError(f"{label} has no picture {stem}.* in {self._folder}; give its folder as --images")
