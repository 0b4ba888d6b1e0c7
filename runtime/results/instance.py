"""The instance result: a mask, class and score for every object, overlaps allowed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import rle
from segrt.runtime.results.labels.label import Label, check_labels
from segrt.runtime.results.semantic import describe
from segrt.runtime.results.timings import Timings


@dataclass(frozen=True, eq=False)
class InstanceResult:
    """Every object's box, score, class and mask.

    `boxes` float32 (N, 4) xyxy in source pixels, `scores` float32 (N,), `class_ids` int (N,) positions in `labels`,
    `rles` N COCO run-length encodings {"size": [H, W], "counts": bytes}, `size` (H, W) of the source.
    """

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[Any]
    rles: "list[rle.Rle]"
    size: tuple[int, int]
    labels: tuple[Label, ...]
    timings: Timings | None = None
    nonfinite_heads: int = 0  # network outputs with NaN or infinity among the values that were read

    def __post_init__(self) -> None:
        """Raise ValueError with what was expected and what was met."""
        object.__setattr__(self, "labels", check_labels(self.labels))
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        if min(self.size) < 1:
            raise ValueError(f"size must be (height, width) of at least 1, but got {self.size}")
        count = len(self.rles)
        for name, array, shape in (("boxes", self.boxes, (count, 4)), ("scores", self.scores, (count,))):
            if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.shape != shape:
                raise ValueError(f"{name} must be float32 with shape {shape}, but got {describe(array)}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite, but holds NaN or infinity")
        ids = self.class_ids
        if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu" or ids.shape != (count,):
            raise ValueError(f"class_ids must be integers with shape {(count,)}, but got {describe(ids)}")
        if count and not 0 <= int(ids.min()) <= int(ids.max()) < len(self.labels):
            raise ValueError(
                f"class_ids must be 0 to {len(self.labels) - 1}, but got {int(ids.min())} to {int(ids.max())}"
            )
        for index, encoded in enumerate(self.rles):
            if tuple(encoded["size"]) != self.size:
                raise ValueError(f"rles[{index}] must have size {list(self.size)}, but got {list(encoded['size'])}")

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.rles)

    @cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
        """All masks, bool (N, H, W); decoded on first use and kept."""
        return rle.decode_all(self.rles, self.size)
