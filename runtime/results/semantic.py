"""The semantic result: a class for every pixel."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import rle
from segrt.runtime.results.class_choice import Classes, chosen_classes
from segrt.runtime.results.coco_entries import ImageId, stuff_entries
from segrt.runtime.results.detections import detections
from segrt.runtime.results.found import found_text
from segrt.runtime.results.labels.label import Label, check_labels
from segrt.runtime.results.timings import Timings
from segrt.runtime.results.viewing import Viewable

NO_VOID = -1


def void_value(dtype: npt.DTypeLike, classes: int) -> int:
    """Return the class map's value for "no class": 255 in uint8, 65535 in uint16; -1 where it is a class itself."""
    value = int(np.iinfo(dtype).max)
    return value if classes <= value else NO_VOID


def class_map_dtype(classes: int) -> "np.dtype[np.uint8] | np.dtype[np.uint16]":
    """Return the smallest dtype that holds `classes` class ids and a void value."""
    return np.dtype(np.uint8) if classes <= 255 else np.dtype(np.uint16)


@dataclass(frozen=True)
class Region:
    """All pixels of a class: `area` in pixels, `share` of the picture, 0 to 1."""

    class_id: int
    name: str
    area: int
    share: float


@dataclass(frozen=True, eq=False, repr=False)
class SemanticResult(Viewable):
    """A class for every pixel; iterating gives a `Region` for each class that occurs, the largest first.

    `class_map` has shape (H, W), uint8 or uint16, and holds positions in `labels`, or `void_id` where there is none.
    `image` is the picture that was segmented, as it was given: not a copy.
    """

    class_map: npt.NDArray[Any]
    labels: tuple[Label, ...]
    timings: Timings | None = None
    nonfinite_heads: int = 0  # network outputs with NaN or infinity among the values that were read
    image: npt.NDArray[Any] | None = None

    @classmethod
    def decided(
        cls, class_map: npt.NDArray[Any], labels: tuple[Label, ...], *, classes: int, nonfinite_heads: int = 0
    ) -> "SemanticResult":
        """Return the result of a decoder that tells `classes` apart.

        No pixel is looked at where each of them has a label: that would take as long as deciding them.
        """
        if classes > len(labels):
            return cls(class_map, labels, nonfinite_heads=nonfinite_heads)
        result = object.__new__(cls)
        for name, value in (
            ("class_map", class_map), ("labels", labels), ("timings", None), ("nonfinite_heads", nonfinite_heads),
        ):  # fmt: skip
            object.__setattr__(result, name, value)
        return result

    def __post_init__(self) -> None:
        """Raise ValueError with what was expected and what was met."""
        object.__setattr__(self, "labels", check_labels(self.labels))
        array = self.class_map
        if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"class_map must be uint8 or uint16 with shape (H, W), but got {describe(array)}")
        if array.size == 0:
            raise ValueError(f"class_map must not be empty, but got {describe(array)}")
        highest = int(array.max())
        if highest == self.void_id:
            highest = int(array.max(initial=0, where=array != highest))
        if highest >= len(self.labels):
            raise ValueError(f"class_map holds class id {highest}, but there are {len(self.labels)} labels")

    @property
    def void_id(self) -> int:
        """The value of pixels without a class: 255 (uint8) or 65535 (uint16); -1 where all values are classes."""
        return void_value(self.class_map.dtype, len(self.labels))

    @property
    def size(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        height, width = self.class_map.shape
        return int(height), int(width)

    def __len__(self) -> int:
        """Return the number of classes that occur."""
        return len(self.regions())

    def __iter__(self) -> Iterator[Region]:
        """Yield the regions, the largest first."""
        return iter(self.regions())

    def regions(self) -> list[Region]:
        """Return a region for each class that occurs, the largest first; void is none."""
        counts = np.bincount(self.class_map.reshape(-1), minlength=len(self.labels))[: len(self.labels)]
        total = self.class_map.size
        return [
            Region(class_id, self.labels[class_id].name, int(counts[class_id]), int(counts[class_id]) / total)
            for class_id in np.argsort(-counts, kind="stable").tolist()
            if counts[class_id]
        ]

    def mask(self, classes: Classes) -> npt.NDArray[np.bool_]:
        """Return where any of `classes` (names or class ids) is, bool (H, W)."""
        ids = sorted(chosen_classes(classes, self.labels))
        return np.isin(self.class_map, np.array(ids, self.class_map.dtype))

    def filter(self, classes: Classes | None = None, *, score_threshold: float | None = None) -> "SemanticResult":
        """Return the result with these classes (names or class ids) alone; other pixels become void.

        Raises SegrtError for a class that there is not, and for a threshold: semantic results have no scores.
        """
        if score_threshold is not None:
            raise SegrtError("score_threshold: a semantic result has no scores; filter it by classes alone")
        if classes is None:
            return self
        kept = self.mask(classes)
        dtype = class_map_dtype(len(self.labels))  # a uint8 map of 256 classes has no value left for void
        void = void_value(dtype, len(self.labels))
        return replace(self, class_map=np.where(kept, self.class_map.astype(dtype), dtype.type(void)))

    def found(self) -> str:
        """Return the classes that occur in one line, the largest first."""
        return found_text({}, [region.name for region in self.regions()])

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a dict for each class, the largest first: class_id, name, area (pixels), share (0 to 1)."""
        return [
            {"class_id": item.class_id, "name": item.name, "area": item.area, "share": round(item.share, 6)}
            for item in self.regions()
        ]

    def to_coco(self, image_id: ImageId = 0) -> list[dict[str, Any]]:
        """Return the picture's entries of COCO's stuff results: an RLE for each class that occurs, without a score."""
        return stuff_entries(self.class_map, self.labels, image_id)

    def to_supervision(self) -> Any:
        """Return `supervision.Detections` with a mask for each class that occurs; they have no confidence."""
        regions = self.regions()
        masks = np.array([self.class_map == region.class_id for region in regions], np.bool_)
        boxes = rle.measure([rle.encode(mask) for mask in masks])[1] if regions else np.zeros((0, 4))
        names = [region.name for region in regions]
        return detections(boxes, masks, np.array([region.class_id for region in regions]), names, None)


def describe(value: object) -> str:
    """Return "float64 (100, 4)" for an array, the type's name for anything else."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__
