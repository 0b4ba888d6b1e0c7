"""Instances from queries, and the suppression of SOLOv2 and YOLO."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import (
    ArgumentError,
    Size,
    Window,
    check_choice,
    check_floats,
    check_masks,
    check_same_queries,
    checked_processed_size,
    checked_size,
    checked_threads,
    checked_vector,
    checked_window,
)
from segrt.runtime.postproc.calls import count_nonfinite
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import Floats, QueryInstances, Report, Rle, ScoreAt, YoloDetections


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
    score_at: ScoreAt = "grid",
    window: Window | None = None,
    processed_size: Size | None = None,
    report: Report | None = None,
) -> QueryInstances:
    """The best (query, class) pairs with their masks: Mask2Former's, RF-DETR-Seg's and SOLO's instance rule.

    Args:
        class_logits: shape (Q, C + 1) for softmax, the last column being "no object"; (Q, C) for sigmoid.
        mask_logits: shape (Q, h, w); a pixel belongs to a mask when its interpolated logit is above 0. Nothing is
            filled in: beyond the grid its edge cells count on.
        size: (H, W) of the picture.
        top_k: pairs that are looked at, by descending class probability.
        score_threshold: instances whose final score is not greater are left out, as are empty masks.
        threads: the most threads to use.
        activation: of the class logits.
        weigh_by_mask: multiply the class probability by the mean mask probability where the mask's logit is above 0, as
            Mask2Former does. None: with softmax, not with sigmoid.
        score_at: where that mean is taken: over the cells of the grid, of the processed size (Mask2Former in
            transformers), or over the picture's pixels (EoMT there).
        window: the part of the mask grid that shows the picture.
        processed_size: (h, w) to which the mask logits are enlarged first; what lies outside the window is cut away
            there.
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
    check_choice("score_at", score_at, ("grid", "processed", "picture"))
    if score_at == "processed" and processed_size is None:
        raise ArgumentError("score_at 'processed' needs a processed_size")
    height, width = checked_size("size", size)
    if top_k < 0:
        raise ArgumentError(f"top_k must be at least 0, got {top_k}")
    class_ids, scores, boxes, mask_of, codes, nonfinite = core.query_instances(
        class_logits,
        mask_logits,
        (height, width),
        int(top_k),
        float(score_threshold),
        activation,
        activation == "softmax" if weigh_by_mask is None else bool(weigh_by_mask),
        score_at,
        checked_processed_size(processed_size),
        checked_window(window, mask_logits.shape[1:]),
        checked_threads(threads),
    )
    count_nonfinite(report, nonfinite)
    return QueryInstances(class_ids, scores, boxes, [Rle(size=[height, width], counts=codes[i]) for i in mask_of])


def decode_yolo(
    predictions: Floats,
    *,
    score_threshold: float = 0.25,
    iou_threshold: float = 0.45,
    max_detections: int = 300,
    coefficients: int = 0,
    agnostic: bool = False,
    report: Report | None = None,
) -> YoloDetections:
    """Boxes from YOLO's raw output, with suppression within each class, or across them.

    Args:
        predictions: shape (4 + C + M, anchors): centre x, centre y, width, height in network pixels, C class scores
            (probabilities), M mask coefficients. A transposed view is read in place. Anchors with a box or score that
            is not finite are dropped.
        score_threshold: the best class score must be greater.
        iou_threshold: a box that overlaps a better one of its class by more is dropped.
        max_detections: the most boxes to return.
        coefficients: M.
        agnostic: a box is dropped for a better one of any class, not of its own alone.
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
    boxes, scores, class_ids, anchors, nonfinite = core.decode_yolo(
        predictions,
        float(score_threshold),
        float(iou_threshold),
        int(max_detections),
        int(coefficients),
        bool(agnostic),
    )
    count_nonfinite(report, nonfinite)
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
    return core.matrix_nms(
        masks,
        checked_vector("scores", scores, len(masks), "f"),
        checked_vector("class_ids", class_ids, len(masks), "i"),
        kernel,
        float(sigma),
        checked_threads(threads),
    )
