"""Panoptic maps from pixels that were labelled with queries already, on a GPU: the end of `merge_queries`."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import (
    ArgumentError,
    check_choice,
    checked_threads,
    class_list,
)
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import MergedSegment, MergeRule

KEPT = np.dtype([("query", "<i4"), ("class_id", "<i4"), ("score", "<f4")])
"""A query that takes part in a merge."""


def merge_labelled(
    labels: NDArray[Any],
    kept: NDArray[Any],
    tallies: NDArray[np.int32],
    *,
    rule: MergeRule,
    overlap_threshold: float = 0.8,
    stuff_classes: Iterable[int] = (),
    threads: int = 0,
) -> tuple[NDArray[np.int32], list[MergedSegment]]:
    """Choose segments and paint their ids; for every rule but "detr".

    Args:
        labels: uint8 or uint16 (H, W): for each pixel a position in `kept`; any other value is void.
        kept: `KEPT` (N,), in query order.
        tallies: int32 (N, 7): for each of them the pixels where it ranks first, those that it claims by itself, those
            that carry its label, and where these lie: left, top, right, bottom, inclusive.
        rule: see `merge_queries`.
        overlap_threshold: see `merge_queries`.
        stuff_classes: see `merge_queries`.
        threads: the most threads to use.

    Returns:
        As `merge_queries`.
    """
    check_choice("rule", rule, ("maskformer", "mask2former", "eomt"))
    ids = _ids_for(labels)
    segments = call_checked(
        core.merge_labelled,
        labels,
        *_columns(kept),
        tallies,
        ids,
        rule,
        float(overlap_threshold),
        class_list("stuff_classes", stuff_classes),
        checked_threads(threads),
    )
    return ids, [MergedSegment(*segment) for segment in segments]


def merge_detr_labelled(
    labels: NDArray[Any],
    kept: NDArray[Any],
    tallies: NDArray[np.int32],
    *,
    stuff_classes: Iterable[int] = (),
    first_time: bool = True,
    threads: int = 0,
) -> tuple[list[int], tuple[NDArray[np.int32], list[MergedSegment]] | None]:
    """Do one round of DETR's own rule; arguments as those of `merge_labelled`.

    Returns:
        The positions of the queries that have enough pixels, and the merge where these are all of `kept`. Else pixels
        must be labelled again with those that are left; `first_time` is false then.
    """
    ids = _ids_for(labels)
    left, segments = call_checked(
        core.merge_detr_labelled,
        labels,
        *_columns(kept),
        tallies,
        ids,
        class_list("stuff_classes", stuff_classes),
        bool(first_time),
        checked_threads(threads),
    )
    merged = (ids, [MergedSegment(*segment) for segment in segments]) if len(left) == len(kept) else None
    return left, merged


def _ids_for(labels: NDArray[Any]) -> NDArray[np.int32]:
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype not in (np.uint8, np.uint16):
        raise ArgumentError("labels must be uint8 or uint16 with shape (H, W)")
    return np.empty(labels.shape, np.int32)


def _columns(kept: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    if kept.dtype != KEPT or kept.ndim != 1:
        raise ArgumentError(f"kept must be {KEPT} with shape (N,), got {kept.dtype} {kept.shape}")
    return np.stack([kept["query"], kept["class_id"]], axis=1), np.ascontiguousarray(kept["score"])
