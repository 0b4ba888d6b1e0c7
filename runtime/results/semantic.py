"""The semantic result: a class for every pixel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.results.labels.label import Label, check_labels
from segrt.runtime.results.timings import Timings

NO_VOID = -1


def void_value(dtype: npt.DTypeLike, classes: int) -> int:
    """Return the class map's value for "no class": 255 in uint8, 65535 in uint16; -1 where it is a class itself."""
    value = int(np.iinfo(dtype).max)
    return value if classes <= value else NO_VOID


def class_map_dtype(classes: int) -> "np.dtype[np.uint8] | np.dtype[np.uint16]":
    """Return the smallest dtype that holds `classes` class ids and a void value."""
    return np.dtype(np.uint8) if classes <= 255 else np.dtype(np.uint16)


@dataclass(frozen=True, eq=False)
class SemanticResult:
    """A class for every pixel.

    `class_map` has shape (H, W), uint8 or uint16, and holds positions in `labels`, or `void_id` where there is none.
    """

    class_map: npt.NDArray[Any]
    labels: tuple[Label, ...]
    timings: Timings | None = None
    nonfinite_heads: int = 0  # network outputs with NaN or infinity among the values that were read

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


def describe(value: object) -> str:
    """Return "float64 (100, 4)" for an array, the type's name for anything else."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__
