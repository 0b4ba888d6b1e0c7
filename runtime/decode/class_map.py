"""Rule `class_map`: semantic, from a class id for every cell."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.technique import Technique


class ClassMap(DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="class_map"):
    """Semantic: head `class_map` (1, h, w) or (1, 1, h, w) of class ids, mapped to the source by nearest neighbour.

    `void_value` is the id that means "no class" in the graph's own output (often 255, or a class's own position), if it
    has one.
    """

    technique: ClassVar[Technique] = "semantic"
    roles: ClassVar[tuple[str, ...]] = ("class_map",)

    void_value: int | None = None


def class_map(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> SemanticResult:
    """Decode `class_map` (h, w) or (1, h, w) of class ids: the nearest pixel's class.

    Raises BundleError for an id that is neither a label's position nor the rule's void value.
    """
    grid = heads["class_map"]
    grid = grid[0] if grid.ndim == 3 else grid
    decode = context.decode
    void = decode.void_value if isinstance(decode, ClassMap) else None
    rows, columns = nearest(geometry, (grid.shape[0], grid.shape[1]))
    ids = _to_class_ids(grid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], len(context.labels), void)
    classes = ids.take(rows - rows[0], axis=0).take(columns - columns[0], axis=1)
    return SemanticResult.decided(classes, context.labels, classes=0)


def nearest(geometry: Geometry, size: tuple[int, int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return for each source row and column the row and column of a head's grid of `size` (h, w) under its centre."""
    top, left, bottom, right = geometry.window_on(size)

    def lookup(count: int, first: float, last: float, limit: int) -> npt.NDArray[np.intp]:
        centers = first + (np.arange(count) + 0.5) / count * (last - first)
        return np.clip(np.floor(centers), 0, limit - 1).astype(np.intp)

    height, width = geometry.source_size
    return lookup(height, top, bottom, size[0]), lookup(width, left, right, size[1])


def _to_class_ids(grid: Array, labels: int, void: int | None) -> Array:
    """Return `grid` as uint8 (up to 255 labels) or uint16, the graph's void value as the result's."""
    dtype: Any = np.uint8 if labels <= 255 else np.uint16
    classes = grid.astype(dtype)
    wrong = (grid < 0) | (grid >= labels)
    if void is not None:
        is_void = grid == void
        classes[is_void] = np.iinfo(dtype).max
        wrong &= ~is_void
    if wrong.any():
        raise refusal(int(grid[wrong][0]), labels)
    return classes


def refusal(class_id: int, labels: int) -> BundleError:
    """Return the error for an id in the network's class map that is neither a label's position nor void."""
    return BundleError(
        f"the network's class map holds class id {class_id}, but the bundle has {labels} labels; "
        "adopt it again with its own labels, or with --void-value if this id means no class"
    )
