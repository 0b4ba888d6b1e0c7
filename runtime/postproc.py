"""Post-processing of segmentation networks at source size, in C++.

Heads are float32 or float16 arrays in any strides (a batch item or a transposed view is read in place). `size` is the
(height, width) of the result in pixels. `threads` is the most threads a call uses; 0 means all processors this process
may use, or the environment variable SEGRT_THREADS. The interpreter lock is released while the core works.

Interpolation is torch's `interpolate(mode="bilinear", align_corners=False)`. `window` is the part of the head's grid
that shows the picture, as (top, left, bottom, right) in grid pixels, fractions allowed: source coordinate of output
pixel x is left + (x + 0.5) * (right - left) / width - 0.5. None means the whole grid.

Values that are not finite have a defined effect: NaN counts as the lowest number, infinities as the largest of their
sign. `report`, when given, counts those that were read.

Wrong arguments raise `ArgumentError`, which is a `SegrtError` and a `ValueError`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from segrt.runtime import _postproc
from segrt.runtime.postproc_checks import (
    ArgumentError,
    Size,
    Window,
    check_boxes,
    check_choice,
    check_classes,
    check_floats,
    check_ids,
    check_masks,
    check_same_queries,
    checked_out,
    checked_size,
    checked_threads,
    checked_vector,
    checked_window,
    class_list,
    describe,
)

__all__ = [
    "ArgumentError",
    "MergedSegment",
    "QueryInstances",
    "Report",
    "Rle",
    "YoloDetections",
    "argmax_map",
    "count_ids",
    "count_overlaps",
    "decode_rle",
    "decode_yolo",
    "encode_rle",
    "group_centers",
    "ids_of_colors",
    "matrix_nms",
    "measure_rle",
    "merge_queries",
    "merge_semantic_instances",
    "paste_masks",
    "paste_masks_rle",
    "prototype_masks_rle",
    "query_instances_rle",
    "query_semantic",
    "resize_normalize",
]

Floats = NDArray[np.float32] | NDArray[np.float16]
MergeRule = Literal["maskformer", "mask2former", "eomt", "detr"]


class Rle(TypedDict):
    """COCO run-length encoding of one mask, as pycocotools writes it: size [height, width] and packed counts."""

    size: list[int]
    counts: bytes


class MergedSegment(NamedTuple):
    """One segment of a merged map: bbox is (x, y, width, height) in pixels, query the (most confident) query of it."""

    id: int
    class_id: int
    score: float
    area: int
    bbox: tuple[int, int, int, int]
    query: int


class QueryInstances(NamedTuple):
    """Instances by descending score: class_ids (N,) int64, scores (N,) float32, boxes (N, 4) float32 xyxy, N codes."""

    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    rles: list[Rle]


class YoloDetections(NamedTuple):
    """Boxes (N, 4) float32 xyxy, scores (N,) float32, class_ids (N,) int64 and coefficients (N, M) float32."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    coefficients: NDArray[np.float32]


@dataclass
class Report:
    """What calls met on their way, added up over all calls it is given to."""

    nonfinite: int = 0


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
    segments, nonfinite = _postproc.merge_queries(
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
    _count(report, nonfinite)
    return ids, [MergedSegment(*segment) for segment in segments]


def merge_semantic_instances(
    semantic: NDArray[Any],
    masks: NDArray[Any],
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
        masks: bool or uint8, shape (N, H, W).
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
    check_masks("masks", masks)
    size = checked_size("semantic's (H, W)", semantic.shape)
    if len(masks) > 0 and masks.shape[1:] != size:
        raise ArgumentError(f"masks must have shape (N, {size[0]}, {size[1]}) as semantic, got {masks.shape}")
    ids = checked_out(out, size, np.dtype(np.int32))
    segments = _call_checked(
        _postproc.merge_semantic_instances,
        semantic,
        masks,
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
    segments, nonfinite = _call_checked(
        _postproc.group_centers,
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
    _count(report, nonfinite)
    return ids, [MergedSegment(*segment) for segment in segments]


def argmax_map(
    logits: Floats,
    size: Size,
    *,
    threads: int = 0,
    out: NDArray[Any] | None = None,
    window: Window | None = None,
    report: Report | None = None,
) -> NDArray[Any]:
    """The class of the highest interpolated logit at every pixel; the lowest class wins a tie.

    Args:
        logits: shape (C, h, w).
        size: (H, W) of the map.
        threads: the most threads to use.
        out: (H, W) to write into, uint8 up to 256 classes, else uint16; rows must be contiguous.
        window: the part of the grid that shows the picture.
        report: counts values that are not finite.

    Returns:
        (H, W), uint8 up to 256 classes, else uint16.
    """
    check_floats("logits", logits, "(C, h, w)", 3)
    if not 1 <= logits.shape[0] <= 65536:
        raise ArgumentError(f"logits must have 1 to 65536 classes, got shape {logits.shape}")
    size = checked_size("size", size)
    dtype = np.dtype(np.uint8 if logits.shape[0] <= 256 else np.uint16)
    out = checked_out(out, size, dtype)
    threads = checked_threads(threads)
    _count(report, _postproc.argmax_map(logits, out, checked_window(window, logits.shape[1:]), threads))
    return out


def query_semantic(
    class_logits: Floats,
    mask_logits: Floats,
    size: Size,
    *,
    threads: int = 0,
    out: NDArray[Any] | None = None,
    window: Window | None = None,
    report: Report | None = None,
) -> NDArray[Any]:
    """The class map of a query-based network: MaskFormer's `post_process_semantic_segmentation`.

    A class's score in a grid cell is the sum over queries of softmax(class_logits) * sigmoid(mask_logits), "no object"
    left out; scores are interpolated, and the highest wins.

    Args:
        class_logits: shape (Q, C + 1); the last column is "no object".
        mask_logits: shape (Q, h, w).
        size: (H, W) of the map.
        threads: the most threads to use.
        out: (H, W) to write into, uint8 up to 256 classes, else uint16; rows must be contiguous.
        window: the part of the grid that shows the picture.
        report: counts values that are not finite.

    Returns:
        (H, W), uint8 up to 256 classes, else uint16.
    """
    _check_queries(class_logits, mask_logits)
    classes = class_logits.shape[1] - 1
    if classes > 65536 or len(class_logits) == 0:
        raise ArgumentError(
            f"class_logits must have at least 1 query and at most 65536 classes, got {class_logits.shape}"
        )
    size = checked_size("size", size)
    class_map = checked_out(out, size, np.dtype(np.uint8 if classes <= 256 else np.uint16))
    part = checked_window(window, mask_logits.shape[1:])
    _count(report, _postproc.query_semantic(class_logits, mask_logits, class_map, part, checked_threads(threads)))
    return class_map


def query_instances_rle(
    class_logits: Floats,
    mask_logits: Floats,
    size: Size,
    *,
    top_k: int = 100,
    score_threshold: float = 0.0,
    threads: int = 0,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    weigh_by_mask: bool | None = None,
    window: Window | None = None,
    report: Report | None = None,
) -> QueryInstances:
    """The best (query, class) pairs with their masks: Mask2Former's, RF-DETR-Seg's and SOLO's instance rule.

    Args:
        class_logits: shape (Q, C + 1) for softmax, the last column being "no object"; (Q, C) for sigmoid.
        mask_logits: shape (Q, h, w); a pixel belongs to a mask when its interpolated logit is above 0.
        size: (H, W) of the picture.
        top_k: pairs that are looked at, by descending class probability.
        score_threshold: instances whose final score is not greater are left out, as are empty masks.
        threads: the most threads to use.
        activation: of the class logits.
        weigh_by_mask: multiply the class probability by the mean mask probability over the grid cells above 0, as
            Mask2Former does. None: with softmax, not with sigmoid.
        window: the part of the mask grid that shows the picture.
        report: counts values that are not finite.

    Returns:
        class_ids, scores, boxes (the masks' extents, edges in pixels) and codes, by descending score.
    """
    check_choice("activation", activation, ("softmax", "sigmoid"))
    check_floats("class_logits", class_logits, "(Q, C+1)" if activation == "softmax" else "(Q, C)", 2)
    check_floats("mask_logits", mask_logits, "(Q, h, w)", 3)
    check_same_queries(class_logits, mask_logits)
    if class_logits.shape[1] < (2 if activation == "softmax" else 1):
        raise ArgumentError(f"class_logits must have at least one class, got shape {class_logits.shape}")
    height, width = checked_size("size", size)
    if top_k < 0:
        raise ArgumentError(f"top_k must be at least 0, got {top_k}")
    class_ids, scores, boxes, mask_of, codes, nonfinite = _postproc.query_instances(
        class_logits,
        mask_logits,
        (height, width),
        int(top_k),
        float(score_threshold),
        activation,
        activation == "softmax" if weigh_by_mask is None else bool(weigh_by_mask),
        checked_window(window, mask_logits.shape[1:]),
        checked_threads(threads),
    )
    _count(report, nonfinite)
    return QueryInstances(class_ids, scores, boxes, [Rle(size=[height, width], counts=codes[i]) for i in mask_of])


def paste_masks(
    masks: Floats,
    boxes: Floats,
    size: Size,
    *,
    threshold: float = 0.5,
    threads: int = 0,
    rule: Literal["torchvision", "detectron2"] = "torchvision",
    out: NDArray[np.bool_] | None = None,
    report: Report | None = None,
) -> NDArray[np.bool_]:
    """Paint the mask of each box into a picture of its own.

    Args:
        masks: probabilities, shape (N, m, m).
        boxes: shape (N, 4): x0, y0, x1, y1 in pixels. A box that is not finite gives an empty mask.
        size: (H, W) of the pictures.
        threshold: "torchvision" sets pixels above it, "detectron2" pixels not below it.
        threads: the most threads to use.
        rule: whose `paste_masks_in_image`. torchvision enlarges the box by one mask cell and cuts its edges to whole
            pixels; detectron2 samples at pixel centres within the exact box.
        out: bool (N, H, W) to write into, contiguous.
        report: counts values that are not finite.

    Returns:
        bool (N, H, W).
    """
    size = checked_size("size", size)
    check_boxes("masks", masks, boxes)
    check_choice("rule", rule, ("torchvision", "detectron2"))
    shape = (masks.shape[0], *size)
    zeroed = out is None
    if out is None:
        # Pages that no box touches are never written, not even with zeros.
        out = np.zeros(shape, np.bool_)
    elif not isinstance(out, np.ndarray) or out.dtype != np.bool_ or out.shape != shape or not out.flags.c_contiguous:
        raise ArgumentError(f"out must be contiguous bool with shape {shape}, got {describe(out)}")
    threads = checked_threads(threads)
    _count(report, _postproc.paste_masks(masks, boxes, out, zeroed, float(threshold), rule, threads))
    return out


def paste_masks_rle(
    masks: Floats,
    boxes: Floats,
    size: Size,
    *,
    threshold: float = 0.5,
    threads: int = 0,
    rule: Literal["torchvision", "detectron2"] = "torchvision",
    report: Report | None = None,
) -> list[Rle]:
    """`paste_masks` straight to run-length codes, without the pictures."""
    height, width = checked_size("size", size)
    check_boxes("masks", masks, boxes)
    check_choice("rule", rule, ("torchvision", "detectron2"))
    codes, nonfinite = _postproc.paste_masks_rle(
        masks, boxes, (height, width), float(threshold), rule, checked_threads(threads)
    )
    _count(report, nonfinite)
    return [Rle(size=[height, width], counts=code) for code in codes]


def prototype_masks_rle(
    prototypes: Floats,
    coefficients: Floats,
    boxes: Floats,
    size: Size,
    *,
    threads: int = 0,
    report: Report | None = None,
) -> list[Rle]:
    """Masks from prototypes, as YOLO and YOLACT make them: ultralytics' `process_mask` with `upsample=True`.

    Args:
        prototypes: shape (P, h, w).
        coefficients: shape (N, P); a mask is the sum of the prototypes weighted by its coefficients.
        boxes: shape (N, 4): x0, y0, x1, y1 in pixels of `size`; grid cells outside are 0. A box that is not finite
            gives an empty mask.
        size: (H, W) of the picture that the grid shows; pixels whose interpolated value is above 0 belong to a mask.
        threads: the most threads to use.
        report: counts values that are not finite.
    """
    height, width = checked_size("size", size)
    check_floats("prototypes", prototypes, "(P, h, w)", 3)
    check_floats("coefficients", coefficients, "(N, P)", 2)
    check_floats("boxes", boxes, "(N, 4)", 2)
    if coefficients.shape[1] != len(prototypes) or len(prototypes) == 0:
        raise ArgumentError(
            f"coefficients must have shape (N, P) with P the number of prototypes, at least 1, "
            f"got {coefficients.shape} for {len(prototypes)} prototypes"
        )
    if boxes.shape != (len(coefficients), 4):
        raise ArgumentError(f"boxes must have shape {(len(coefficients), 4)} as coefficients, got {boxes.shape}")
    codes, nonfinite = _postproc.prototype_masks_rle(
        prototypes, coefficients, boxes, (height, width), checked_threads(threads)
    )
    _count(report, nonfinite)
    return [Rle(size=[height, width], counts=code) for code in codes]


def decode_yolo(
    predictions: Floats,
    *,
    score_threshold: float = 0.25,
    iou_threshold: float = 0.45,
    max_detections: int = 300,
    coefficients: int = 0,
    report: Report | None = None,
) -> YoloDetections:
    """Boxes from YOLO's raw output, with class-wise suppression.

    Args:
        predictions: shape (4 + C + M, anchors): centre x, centre y, width, height in network pixels, C class scores
            (probabilities), M mask coefficients. A transposed view is read in place. Anchors with a box or score that
            is not finite are dropped.
        score_threshold: the best class score must be greater.
        iou_threshold: a box that overlaps a better one of its class by more is dropped.
        max_detections: the most boxes to return.
        coefficients: M.
        report: counts values that are not finite.

    Returns:
        boxes, scores, class_ids and coefficients, by descending score.
    """
    check_floats("predictions", predictions, "(4 + classes + coefficients, anchors)", 2)
    if coefficients < 0 or predictions.shape[0] < 5 + coefficients:
        raise ArgumentError(
            f"predictions must have 4 rows of boxes, at least one of class scores and {coefficients} of coefficients, "
            f"got shape {predictions.shape}"
        )
    if max_detections < 0:
        raise ArgumentError(f"max_detections must be at least 0, got {max_detections}")
    boxes, scores, class_ids, anchors, nonfinite = _postproc.decode_yolo(
        predictions, float(score_threshold), float(iou_threshold), int(max_detections), int(coefficients)
    )
    _count(report, nonfinite)
    chosen = predictions[predictions.shape[0] - coefficients :, anchors].T.astype(np.float32)
    return YoloDetections(boxes, scores, class_ids, chosen)


def matrix_nms(
    masks: NDArray[Any],
    scores: Sequence[float] | NDArray[Any],
    class_ids: Sequence[int] | NDArray[Any],
    *,
    kernel: Literal["gaussian", "linear"] = "gaussian",
    sigma: float = 2.0,
    threads: int = 0,
) -> NDArray[np.float32]:
    """SOLOv2's suppression: scores lowered by the overlap with better masks of the same class.

    Args:
        masks: bool or uint8, shape (N, h, w).
        scores: shape (N,).
        class_ids: shape (N,).
        kernel: how an overlap lowers a score.
        sigma: of the Gaussian kernel.
        threads: the most threads to use.

    Returns:
        The lowered scores, float32 (N,), in input order; equal scores rank in input order.
    """
    check_masks("masks", masks)
    check_choice("kernel", kernel, ("gaussian", "linear"))
    return _postproc.matrix_nms(
        masks,
        checked_vector("scores", scores, len(masks), "f"),
        checked_vector("class_ids", class_ids, len(masks), "i"),
        kernel,
        float(sigma),
        checked_threads(threads),
    )


def encode_rle(masks: NDArray[Any], *, threads: int = 0) -> list[Rle]:
    """COCO run-length codes of masks, byte-identical with pycocotools.

    Args:
        masks: bool or uint8 (not 0 is set), shape (N, H, W).
        threads: the most threads to use.
    """
    check_masks("masks", masks)
    if len(masks) == 0:
        return []
    height, width = checked_size("the masks' (H, W)", masks.shape[1:])
    codes = _postproc.encode_masks(masks, checked_threads(threads))
    return [Rle(size=[height, width], counts=code) for code in codes]


def decode_rle(rles: Sequence[Rle], *, threads: int = 0) -> NDArray[np.bool_]:
    """Masks, bool (N, H, W), of run-length codes that share one size. No codes give shape (0, 0, 0)."""
    size, codes = _codes_of(rles)
    out = np.empty((len(codes), *size), np.bool_)
    _call_checked(_postproc.decode_masks, codes, out, checked_threads(threads))
    return out


def measure_rle(rles: Sequence[Rle]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Areas (N,) and extents (N, 4) as x0, y0, x1, y1 (edges; 0 when empty) of codes that share one size."""
    size, codes = _codes_of(rles)
    if not codes:
        return np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
    areas, boxes = _call_checked(_postproc.measure_codes, codes, size)
    return areas, boxes


def count_overlaps(
    first: NDArray[Any], second: NDArray[Any], first_ids: Sequence[int], second_ids: Sequence[int]
) -> NDArray[np.int64]:
    """Count the pixels that two label maps share, id by id.

    Args:
        first: uint8, uint16 or int32, shape (H, W), any strides; or a panoptic PNG's picture as decoded, uint8 BGR
            (H, W, 3) or BGRA, whose ids are those of `ids_of_colors`.
        second: the same, of the same (H, W).
        first_ids: the distinct ids to tell apart; they need not be dense or sorted.
        second_ids: the same for `second`.

    Returns:
        int64 (len(first_ids) + 1, len(second_ids) + 1): row 1 + i is first_ids[i], row 0 every id that is not listed;
        columns likewise.
    """
    for name, value in (("first", first), ("second", second)):
        check_ids(name, value)
    if first.shape[:2] != second.shape[:2]:
        raise ArgumentError(f"second must have first's (H, W) {first.shape[:2]}, got {second.shape[:2]}")
    one, other = class_list("first_ids", first_ids), class_list("second_ids", second_ids)
    counts: NDArray[np.int64] = _call_checked(_postproc.count_overlaps, first, second, one, other)
    return counts


def count_ids(ids_map: NDArray[Any], ids: Sequence[int]) -> NDArray[np.int64]:
    """Count the pixels of each of the distinct `ids` in a label map or picture of ids (see `count_overlaps`).

    Returns int64 (len(ids) + 1,): entry 1 + i is ids[i], entry 0 every id that is not listed.
    """
    check_ids("ids_map", ids_map)
    counts: NDArray[np.int64] = _call_checked(_postproc.count_ids, ids_map, class_list("ids", ids))
    return counts


def ids_of_colors(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the id of each colour, int32 (H, W): R + 256 G + 65536 B (panopticapi, utils.py, rgb2id).

    `image` is uint8 BGR (H, W, 3) or BGRA (H, W, 4).
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ArgumentError(f"image must be uint8 with shape (H, W, 3) or (H, W, 4), got {describe(image)}")
    ids: NDArray[np.int32] = np.empty(image.shape[:2], np.int32)
    _postproc.ids_of_colors(np.ascontiguousarray(image), ids)
    return ids


def resize_normalize(
    image: NDArray[np.uint8],
    size: Size,
    *,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    scale: float = 1.0,
    swap_rb: bool = False,
    interpolation: Literal["linear"] = "linear",
    out: NDArray[np.float32] | None = None,
    layout: Literal["NCHW", "NHWC", "CHW", "HWC"] = "NCHW",
    threads: int = 0,
) -> NDArray[np.float32]:
    """Resize and normalise a picture into a network input: (pixel * scale - mean) / std, in one pass.

    Args:
        image: uint8 (H, W, 3); a view with other row strides is read in place.
        size: (h, w) of the input.
        mean: per channel of the result (after `swap_rb`), in scaled units.
        std: per channel of the result, in scaled units.
        scale: factor on the pixel values, such as 1 / 255.
        swap_rb: exchange the first and the last channel (BGR to RGB).
        interpolation: "linear", with half-pixel centres and no antialiasing, not rounded to whole grey levels.
        out: float32 to write into, (1,) + (3, h, w) or (h, w, 3) as `layout` says, the 1 optional; any strides, such
            as a part of a letterboxed input.
        layout: of the result.
        threads: the most threads to use.

    Returns:
        `out`, or a new array of the layout's rank.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ArgumentError(f"image must be uint8 with shape (H, W, 3), got {describe(image)}")
    checked_size("the image's (H, W)", image.shape[:2])
    height, width = checked_size("size", size)
    check_choice("interpolation", interpolation, ("linear",))
    check_choice("layout", layout, ("NCHW", "NHWC", "CHW", "HWC"))
    means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if means.shape != (3,) or stds.shape != (3,) or not np.isfinite([*means, *stds, scale]).all() or (stds == 0).any():
        raise ArgumentError(f"mean and std must be 3 finite numbers each, std not 0, got mean={mean}, std={std}")
    if image.strides[1:] != (3, 1):
        image = np.ascontiguousarray(image)
    shape = (3, height, width) if layout.endswith("CHW") else (height, width, 3)
    if out is None:
        out = np.empty((1, *shape) if layout.startswith("N") else shape, np.float32)
    elif not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape not in (shape, (1, *shape)):
        raise ArgumentError(f"out must be float32 with shape {shape} or {(1, *shape)}, got {describe(out)}")
    target = out[0] if out.ndim == 4 else out
    factor, offset = scale / stds, -means / stds
    channel_axis = 0 if layout.endswith("CHW") else 2
    _postproc.resize_normalize(
        image, target, channel_axis, tuple(factor), tuple(offset), bool(swap_rb), checked_threads(threads)
    )
    return out


def _check_queries(class_logits: Floats, mask_logits: Floats) -> None:
    check_floats("class_logits", class_logits, "(Q, C+1)", 2)
    check_floats("mask_logits", mask_logits, "(Q, h, w)", 3)
    check_same_queries(class_logits, mask_logits)
    if class_logits.shape[1] < 2:
        raise ArgumentError(
            f"class_logits must have a class beside the last column, no object, got {class_logits.shape}"
        )


def _codes_of(rles: Sequence[Rle]) -> tuple[Size, list[bytes]]:
    if not rles:
        return (0, 0), []
    size = checked_size("size of the codes", rles[0]["size"])
    for rle in rles:
        if tuple(rle["size"]) != size:
            raise ArgumentError(f"rles must share one size, got {list(size)} and {rle['size']}")
        if not isinstance(rle["counts"], bytes):
            raise ArgumentError(f"rles must have packed counts (bytes), got {type(rle['counts']).__name__}: pack them")
    return size, [rle["counts"] for rle in rles]


def _call_checked(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ValueError as error:
        raise ArgumentError(str(error)) from None


def _count(report: Report | None, nonfinite: int) -> None:
    if report is not None:
        report.nonfinite += nonfinite
