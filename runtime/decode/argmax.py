"""Semantic decoders: a class for every source pixel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.bundle.rules import Argmax, ClassMap
from segrt.runtime.decode.decoders import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult

Array = npt.NDArray[Any]


def argmax(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> SemanticResult:
    """Decode `semantic_logits` (C, h, w): bilinear logits, argmax."""
    logits = heads["semantic_logits"]
    aligned = isinstance(context.decode, Argmax) and context.decode.align_corners
    window = geometry.window_on(logits.shape[1:], align_corners=aligned)
    classes = postproc.argmax_map(logits, geometry.source_size, window=window, threads=context.threads)
    return SemanticResult(classes, context.labels)


def query_semantic(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> SemanticResult:
    """Decode `class_logits` (Q, C+1) and `mask_logits` (Q, h, w): class scores weighted by mask probabilities."""
    masks = heads["mask_logits"]
    window = geometry.window_on((masks.shape[1], masks.shape[2]))
    classes = postproc.query_semantic(
        heads["class_logits"], masks, geometry.source_size, window=window, threads=context.threads
    )
    return SemanticResult(classes, context.labels)


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
    return SemanticResult(classes, context.labels)


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
    if wrong.any():
        if void is not None:
            is_void = grid == void
            classes[is_void] = np.iinfo(dtype).max
            wrong &= ~is_void
        if wrong.any():
            raise BundleError(
                f"the network's class map holds class id {int(grid[wrong][0])}, but the bundle has {labels} labels; "
                "adopt it again with its own labels, or with --void-value if this id means no class"
            )
    return classes
