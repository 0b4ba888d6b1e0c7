"""Segments from what a GPU has counted of its pixels: the end of `merge_queries`, without a map."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import ArgumentError, check_choice, class_list
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import MergedSegment, MergeRule

KEPT = np.dtype([("query", "<i4"), ("class_id", "<i4"), ("score", "<f4")])
"""A query that takes part in a merge."""


def choose_segments(
    kept: NDArray[Any],
    tallies: NDArray[np.int32],
    *,
    rule: MergeRule,
    overlap_threshold: float = 0.8,
    stuff_classes: Iterable[int] = (),
) -> list[MergedSegment]:
    """Choose segments, for every rule but "detr"; ids count them from 1.

    Args:
        kept: `KEPT` (N,), in query order.
        tallies: int32 (N, 7): for each of them the pixels where it ranks first, those that it claims by itself, those
            that carry its label, and where these lie: left, top, right, bottom, inclusive.
        rule: see `merge_queries`.
        overlap_threshold: see `merge_queries`.
        stuff_classes: see `merge_queries`.

    Returns:
        The segments, as `merge_queries`.
    """
    check_choice("rule", rule, ("maskformer", "mask2former", "eomt"))
    stuff = class_list("stuff_classes", stuff_classes)
    segments = call_checked(core.choose_segments, *_columns(kept), tallies, rule, float(overlap_threshold), stuff)
    return [MergedSegment(*segment) for segment in segments]


def choose_detr_segments(
    kept: NDArray[Any],
    tallies: NDArray[np.int32],
    *,
    stuff_classes: Iterable[int] = (),
    compat: bool = False,
    first_time: bool = True,
) -> tuple[list[int], list[MergedSegment] | None]:
    """Do one round of DETR's own rule; arguments as those of `choose_segments`.

    Returns:
        The positions of the queries that have enough pixels, and the segments where these are all of `kept`. Else
        pixels must be labelled again with those that are left; `first_time` is false then. With `compat` stuff is
        united the first time alone.
    """
    stuff = class_list("stuff_classes", stuff_classes)
    rounds = (bool(compat), bool(first_time))
    left, segments = call_checked(core.choose_detr_segments, *_columns(kept), tallies, stuff, *rounds)
    return left, [MergedSegment(*segment) for segment in segments] if len(left) == len(kept) else None


def _columns(kept: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    if kept.dtype != KEPT or kept.ndim != 1:
        raise ArgumentError(f"kept must be {KEPT} with shape (N,), got {kept.dtype} {kept.shape}")
    return np.stack([kept["query"], kept["class_id"]], axis=1), np.ascontiguousarray(kept["score"])
