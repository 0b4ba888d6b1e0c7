"""What every data set offers: its classes, its samples, and the truth of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.truth import Truth
from segrt.runtime.files.images import Picture, read_image
from segrt.runtime.results import Label

ImageId = int | str


@dataclass(frozen=True)
class Sample:
    """One image of a data set and where its truth lies: `annotation` is the data set's own business."""

    image_id: ImageId
    image_path: Path
    size: tuple[int, int] | None
    annotation: Any = None


@dataclass(frozen=True)
class ClipSpan:
    """A clip of a data set: the samples from `start` to before `stop` are its frames, `fps` a second where known.

    `number` is its id in the data set's file.
    """

    name: str
    start: int
    stop: int
    fps: float | None = None
    number: ImageId = ""


class Dataset(Protocol):
    """A labelled data set. `path` is what messages call it, `techniques` are those that its truth can judge.

    One of label pictures also has `missing_truth`, which finds fault with the true pixels of all of them. One of clips
    also has `clips`, see `clips_of`; the ids of its truths last over a clip.
    """

    @property
    def path(self) -> Path | str:
        """The file or folder of the annotations, or an address."""

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes; truths have positions in this list as class ids."""

    @property
    def samples(self) -> Sequence[Sample]:
        """The images, in the order in which detections of equal score are ranked."""

    @property
    def techniques(self) -> tuple[str, ...]:
        """Of `semantic`, `instance`, `panoptic`."""

    def read_image(self, sample: Sample) -> Picture:
        """Return the picture, uint8 BGR (H, W, 3); raise SegrtError when it cannot be read or has another size."""

    def read_truth(self, sample: Sample) -> Truth:
        """Return the truth; raise SegrtError that names the file when it cannot be read or does not fit."""


def clips_of(dataset: Dataset) -> tuple[ClipSpan, ...]:
    """Return the clips of a data set, which hold all its samples in order; none of a data set of pictures."""
    return tuple(getattr(dataset, "clips", ()))


@dataclass(frozen=True)
class Address:
    """Where a data set lies, as the user gave it.

    annotations: a file, a folder or an address. images, panoptic_dir: its pictures' and panoptic PNG files' folders,
    None for the usual ones. labels: the classes, for a data set that does not name them. ignored: ids that are void.
    mapped: (value, id) pairs, what values of label pictures stand for.
    """

    annotations: str
    images: Path | None = None
    panoptic_dir: Path | None = None
    labels: tuple[Label, ...] | None = None
    ignored: tuple[int, ...] = ()
    mapped: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class DatasetKind:
    """A kind of data set: whether an address is of it, and how it is opened."""

    recognises: Callable[[Address], bool]
    open: Callable[[Address], Dataset]
    has_values: bool = False  # label pictures, of whose values users may say what they mean


def check_size(file: Path, size: tuple[int, int], expected: tuple[int, int] | None, source: Path | str) -> None:
    """Raise SegrtError when the (height, width) of `file` is not the one that `source` states."""
    if expected is not None and size != expected:
        raise SegrtError(
            f"{file} is {size[1]} pixels wide and {size[0]} high, but {expected[1]} wide and {expected[0]} high by "
            f"{source}; give files that belong together"
        )


def checked_image(sample: Sample, source: Path) -> Picture:
    """Return a sample's picture, uint8 BGR (H, W, 3); raise SegrtError when its size is not the one stated."""
    image = read_image(sample.image_path)
    check_size(sample.image_path, (int(image.shape[0]), int(image.shape[1])), sample.size, source)
    return image
