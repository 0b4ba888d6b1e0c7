"""Clips as KITTI-STEP has them: a folder of PNG files a sequence, red being the class, green * 256 + blue the object.

The folder is `panoptic_maps`, or one in it (`panoptic_maps/val`, `panoptic_maps/val/0002`); pictures lie in `images`
beside it. Class 255 is void; pixels of a thing with object 0 are a crowd (Weber et al. 2021).
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.evaluate.datasets.clip_frames import checked_spans, frame_id
from segrt.runtime.evaluate.datasets.dataset import Address, ClipSpan, DatasetKind, Sample, checked_image
from segrt.runtime.evaluate.truth import PanopticTruth, TruthSegment
from segrt.runtime.files.images import Picture
from segrt.runtime.files.reading import is_folder
from segrt.runtime.results import Label
from segrt.runtime.results.coco_format import read_panoptic_picture
from segrt.runtime.results.labels.cityscapes import LABELS as CITYSCAPES

MAPS = "panoptic_maps"
_VOID = 255
_OBJECTS = 1 << 16
_THINGS = ("person", "car")
_NUMBER = re.compile("[0-9]{1,12}")


@dataclass(frozen=True)
class StepValues:
    """The classes, and the red value of each."""

    labels: tuple[Label, ...]
    reds: tuple[int, ...]

    @classmethod
    def of(cls, labels: tuple[Label, ...] | None) -> "StepValues":
        """Return those of KITTI-STEP: Cityscapes' train ids, people and cars being things; or of other labels.

        Other labels' red values are their `dataset_id`s.
        """
        names = [label.name for label in CITYSCAPES]
        if labels is None or [label.name for label in labels] == names:
            step = tuple(msgspec.structs.replace(label, isthing=label.name in _THINGS) for label in CITYSCAPES)
            return cls(step, tuple(range(len(step))))
        return cls(labels, tuple(label.dataset_id for label in labels))

    def read(self, png: Path) -> PanopticTruth:
        """Read a map; ids last over the clip. Raises SegrtError for a file that is no such map."""
        picture = read_panoptic_picture(png).astype(np.int32)
        classes, objects = picture[..., 2], (picture[..., 1] << 8) + picture[..., 0]
        places = {red: place for place, red in enumerate(self.reds)}
        segments = []
        for red in np.unique(classes).tolist():
            if red not in places:
                if red == _VOID:
                    objects[classes == red] = -1
                    continue
                raise SegrtError(
                    f"{png} holds class {red}, which no label has; give the classes of the maps as --labels"
                )
            here = classes == red
            isthing = self.labels[places[red]].isthing
            if not isthing:
                objects[here] = 0
            for number in np.unique(objects[here]).tolist():
                crowd = isthing and number == 0
                segments.append(TruthSegment(1 + red * _OBJECTS + number, places[red], crowd))
        ids = np.where(objects < 0, 0, 1 + classes * _OBJECTS + objects).astype(np.int32)
        return PanopticTruth(ids, tuple(segments), self.labels)


@dataclass(frozen=True)
class StepDataset:
    """Sequences of maps."""

    path: Path
    values: StepValues
    samples: tuple[Sample, ...]
    clips: tuple[ClipSpan, ...]

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes."""
        return self.values.labels

    @property
    def techniques(self) -> tuple[str, ...]:
        """All three."""
        return TECHNIQUES

    def read_image(self, sample: Sample) -> Picture:
        """Read a frame."""
        return checked_image(sample, self.path)

    def read_truth(self, sample: Sample) -> PanopticTruth:
        """Read a frame's map."""
        return self.values.read(sample.annotation)


def maps_by_sequence(folder: Path) -> dict[str, list[Path]]:
    """Return the maps of each sequence in a folder in order; raise SegrtError where a frame is missing."""
    inner = _root(folder)
    folders = sorted(path for path in inner.iterdir() if is_folder(path)) or [inner]
    sequences = {}
    for sequence in folders:
        maps = sorted((path for path in sequence.glob("*.png") if _NUMBER.fullmatch(path.stem)), key=_number)
        numbers = [_number(path) for path in maps]
        for before, after in pairwise(numbers):
            if after != before + 1:
                raise SegrtError(
                    f"{sequence} has no map between {before:06d} and {after:06d}; a clip needs every frame"
                )
        if maps:
            sequences[sequence.name] = maps
    if not sequences:
        raise SegrtError(f"{folder} holds no maps such as 0002/000000.png; give the folder of KITTI-STEP's sequences")
    return sequences


def map_of_frame(folder: Path, image_id: str) -> Path:
    """Return the map of a frame, "0002/000000" for instance, in a folder of sequences or of one."""
    root = _root(folder)
    sequence, _, name = image_id.rpartition("/")
    return (root if root.name == sequence and not is_folder(root / sequence) else root / sequence) / f"{name}.png"


def _root(folder: Path) -> Path:
    return next((folder / name for name in ("val", "train") if is_folder(folder / name)), folder)


def _number(path: Path) -> int:
    return int(path.stem)


def open_step(address: Address) -> StepDataset:
    """Open a folder of KITTI-STEP's maps; see `open_dataset`."""
    folder = Path(address.annotations)
    values = StepValues.of(address.labels)
    samples: list[Sample] = []
    spans = []
    for name, maps in maps_by_sequence(folder).items():
        start = len(samples)
        samples += [Sample(frame_id(name, png.stem), _picture(png, name, address.images), None, png) for png in maps]
        spans.append(ClipSpan(name, start, len(samples), fps=10.0, number=name))
    return StepDataset(folder, values, tuple(samples), checked_spans(folder, spans))


def _picture(png: Path, sequence: str, images: Path | None) -> Path:
    if images is not None:
        return images / sequence / png.name
    return Path(*("images" if part == MAPS else part for part in png.parts))


def _recognises(address: Address) -> bool:
    folder = Path(address.annotations)
    return MAPS in folder.parts[-3:] and is_folder(folder)


KITTI_STEP = DatasetKind(_recognises, open_step)
