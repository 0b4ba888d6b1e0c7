"""What every data set offers: its classes, its samples, and the truth of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.truth import Truth
from segrt.runtime.results import Label

ImageId = int | str


@dataclass(frozen=True)
class Sample:
    """One image of a data set and where its truth lies: `annotation` is the data set's own business."""

    image_id: ImageId
    image_path: Path
    size: tuple[int, int] | None
    annotation: Any = None


class Dataset(Protocol):
    """A labelled data set. `path` is what messages call it, `techniques` are those that its truth can judge."""

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

    def read_image(self, sample: Sample) -> npt.NDArray[np.uint8]:
        """Return the picture, uint8 BGR (H, W, 3); raise SegrtError when it cannot be read or has another size."""

    def read_truth(self, sample: Sample) -> Truth:
        """Return the truth; raise SegrtError that names the file when it cannot be read or does not fit."""
