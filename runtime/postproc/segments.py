"""Panoptic maps: one segment for every pixel, from queries, from class map and instances, or from centres."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import (
    ArgumentError,
    Size,
    Window,
    check_choice,
    check_classes,
    check_floats,
    check_masks,
    check_same_queries,
    checked_out,
    checked_size,
    checked_threads,
    checked_vector,
    checked_window,
    class_list,
)
from segrt.runtime.postproc.calls import call_checked, count_nonfinite
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.run_lengths import codes_of
from segrt.runtime.postproc.types import Floats, MergedSegment, MergeRule, Report, Rle


def merge_queries(
    class_logits: Floats,
    mask_logits: Floats,
    size: Size,
    *,
    rule: MergeRule = "maskformer",
    score_threshold: float = 0.5,
    overlap_threshold: float = 0.8,
    stuff_classes: Iterable[int] = (),
    threads: int = 0,
    out: NDArray[np.int32] | None = None,
    compat: bool = False,
    window: Window | None = None,
    processed_size: Size | None = None,
    report: Report | None = None,
) -> tuple[NDArray[np.int32], list[MergedSegment]]:
    """Merge scored query masks into one panoptic map.

    Args:
        class_logits: shape (Q, C + 1); the last column is "no object".
        mask_logits: shape (Q, h, w).
        size: (H, W) of the map.
        rule: whose merge.
            "maskformer" (and DETR in transformers): probabilities are interpolated and weighted by the query's score;
            a query is dropped when less than `overlap_threshold` of its own mask is left to it.
            "mask2former": the same after a resize of the logits to `processed_size`, (384, 384) by default.
            "eomt": logits are interpolated, pixels of a probability below 0.5 stay void.
            "detr" (facebookresearch): the highest logit, no overlap rule, segments of at most 4 pixels given away.
        score_threshold: a query takes part when its class probability is greater.
        overlap_threshold: share of a query's own mask that it must win, exclusive.
        stuff_classes: classes of which the picture has one segment at most.
        threads: the most threads to use.
        out: int32 (H, W) to write into; rows must be contiguous.
        compat: reproduce the peer's known bug: ids reused after fused stuff (maskformer, mask2former), merged stuff
            lost (detr).
        window: the part of the mask grid that shows the picture.
        processed_size: (h, w) the network saw, to which peers resize the logits first (mask2former, eomt, detr).
        report: counts values that are not finite.

    Returns:
        The map of segment ids, int32 (H, W), 0 where no segment is, and the segments, ids from 1 in query order.
    """
    check_choice("rule", rule, ("maskformer", "mask2former", "eomt", "detr"))
    check_floats("class_logits", class_logits, "(Q, C+1)", 2)
    check_floats("mask_logits", mask_logits, "(Q, h, w)", 3)
    check_same_queries(class_logits, mask_logits)
    if class_logits.shape[1] < 2:
        raise ArgumentError(
            f"class_logits must have a column for no object beside the classes, got {class_logits.shape}"
        )
    size = checked_size("size", size)
    if rule == "mask2former" and processed_size is None:
        processed_size = (384, 384)
    if processed_size is not None:
        if rule == "maskformer":
            raise ArgumentError("processed_size has no meaning for rule maskformer: leave it out")
        processed_size = checked_size("processed_size", processed_size)
    ids = checked_out(out, size, np.dtype(np.int32))
    segments, nonfinite = core.merge_queries(
        class_logits,
        mask_logits,
        ids,
        rule,
        float(score_threshold),
        float(overlap_threshold),
        class_list("stuff_classes", stuff_classes),
        processed_size,
        checked_window(window, mask_logits.shape[1:]),
        bool(compat),
        checked_threads(threads),
    )
    count_nonfinite(report, nonfinite)
    return ids, [MergedSegment(*segment) for segment in segments]


def merge_semantic_instances(
    semantic: NDArray[Any],
    masks: NDArray[Any] | Sequence[Rle],
    scores: Sequence[float] | NDArray[Any],
    class_ids: Sequence[int] | NDArray[Any],
    *,
    score_threshold: float = 0.5,
    overlap_threshold: float = 0.5,
    stuff_area_limit: int = 4096,
    threads: int = 0,
    out: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.int32], list[MergedSegment]]:
    """Merge a class map and instance masks into one panoptic map: detectron2's Panoptic FPN heuristic.

    Instances paint free pixels by descending score, equal ones in input order; then every class but 0 with enough free
    pixels becomes a segment, in ascending order (`combine_semantic_and_instance_outputs`).

    Args:
        semantic: class ids 0 to 65535, shape (H, W), uint8, uint16, int32 or int64; 0 stands for all things.
        masks: bool or uint8, shape (N, H, W); or N run-length codes, which are never made into pictures.
        scores: shape (N,); instances below `score_threshold` (or NaN) are left out.
        class_ids: shape (N,).
        score_threshold: the lowest score, inclusive.
        overlap_threshold: an instance is left out when a greater share of it is taken already.
        stuff_area_limit: the fewest pixels of a stuff segment.
        threads: the most threads to use.
        out: int32 (H, W) to write into; rows must be contiguous.

    Returns:
        The map of segment ids, int32 (H, W), 0 where no segment is, and the segments; `query` is the instance's index,
        -1 for stuff, which has score 1.
    """
    check_classes("semantic", semantic)
    size = checked_size("semantic's (H, W)", semantic.shape)
    given: NDArray[Any] | list[bytes]
    if isinstance(masks, np.ndarray):
        given = masks
        check_masks("masks", masks)
        if len(masks) > 0 and masks.shape[1:] != size:
            raise ArgumentError(f"masks must have shape (N, {size[0]}, {size[1]}) as semantic, got {masks.shape}")
    else:
        size_of_codes, given = codes_of(masks)
        if given and size_of_codes != size:
            raise ArgumentError(f"masks must have size {list(size)} as semantic, got {list(size_of_codes)}")
    ids = checked_out(out, size, np.dtype(np.int32))
    segments = call_checked(
        core.merge_semantic_instances,
        semantic,
        given,
        checked_vector("scores", scores, len(masks), "f"),
        checked_vector("class_ids", class_ids, len(masks), "i"),
        ids,
        float(score_threshold),
        float(overlap_threshold),
        int(stuff_area_limit),
        checked_threads(threads),
    )
    return ids, [MergedSegment(*segment) for segment in segments]


def group_centers(
    semantic: NDArray[Any],
    center_heatmap: Floats,
    offsets: Floats,
    *,
    thing_classes: Iterable[int],
    threshold: float = 0.1,
    nms_kernel: int = 7,
    top_k: int = 200,
    stuff_area_limit: int = 2048,
    threads: int = 0,
    out: NDArray[np.int32] | None = None,
    report: Report | None = None,
) -> tuple[NDArray[np.int32], list[MergedSegment]]:
    """Group the pixels of things around their centres: Panoptic-DeepLab's post-processing.

    Args:
        semantic: class ids 0 to 65535, shape (H, W), uint8, uint16, int32 or int64.
        center_heatmap: shape (H, W) or (1, H, W).
        offsets: shape (2, H, W): from each pixel to its centre, y then x, in pixels.
        thing_classes: classes whose pixels belong to instances.
        threshold: a centre's heat must be greater.
        nms_kernel: odd; a centre is the largest value in a square of this size.
        top_k: of more centres, those above the top_k-th highest heat are taken (exclusive, as the peers do).
        stuff_area_limit: the fewest pixels of a stuff segment.
        threads: the most threads to use.
        out: int32 (H, W) to write into; rows must be contiguous.
        report: counts values that are not finite.

    Returns:
        The map of segment ids, int32 (H, W), 0 where no segment is, and the segments: instances in order of their
        centres (score is the heat, query the number of the centre), then stuff (score 1, query -1).
    """
    check_classes("semantic", semantic)
    heat = (
        center_heatmap[None] if isinstance(center_heatmap, np.ndarray) and center_heatmap.ndim == 2 else center_heatmap
    )
    check_floats("center_heatmap", heat, "(1, H, W)", 3)
    check_floats("offsets", offsets, "(2, H, W)", 3)
    size = checked_size("semantic's (H, W)", semantic.shape)
    if heat.shape != (1, *size) or offsets.shape != (2, *size):
        raise ArgumentError(
            f"center_heatmap must have shape {(1, *size)} and offsets {(2, *size)} as semantic, "
            f"got {center_heatmap.shape} and {offsets.shape}"
        )
    if nms_kernel < 1 or nms_kernel % 2 == 0 or top_k < 1:
        raise ArgumentError(f"nms_kernel must be odd and top_k at least 1, got {nms_kernel} and {top_k}")
    ids = checked_out(out, size, np.dtype(np.int32))
    segments, nonfinite = call_checked(
        core.group_centers,
        semantic,
        heat,
        offsets,
        ids,
        class_list("thing_classes", thing_classes),
        float(threshold),
        int(nms_kernel),
        int(top_k),
        int(stuff_area_limit),
        checked_threads(threads),
    )
    count_nonfinite(report, nonfinite)
    return ids, [MergedSegment(*segment) for segment in segments]
