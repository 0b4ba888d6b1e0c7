"""Class maps: one class for every pixel."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import (
    ArgumentError,
    Size,
    Window,
    check_floats,
    check_queries,
    checked_out,
    checked_processed_size,
    checked_size,
    checked_threads,
    checked_window,
)
from segrt.runtime.postproc.calls import count_nonfinite
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import Floats, Report

_LARGEST = 3e38  # of float32


def argmax_map(
    logits: Floats,
    size: Size,
    *,
    threads: int = 0,
    out: NDArray[Any] | None = None,
    window: Window | None = None,
    processed_size: Size | None = None,
    report: Report | None = None,
) -> NDArray[Any]:
    """The class of the highest interpolated logit at every pixel; the lowest class wins a tie.

    Args:
        logits: shape (C, h, w), at least two classes: of one, every pixel would be it (see `binary_map`).
        size: (H, W) of the map.
        threads: the most threads to use.
        out: (H, W) to write into, uint8 up to 256 classes, else uint16; rows must be contiguous.
        window: the part of the grid that shows the picture.
        processed_size: (h, w) to which the logits are enlarged first (detectron2's `sem_seg_postprocess`); what lies
            outside the window is cut away there.
        report: counts values that are not finite.

    Returns:
        (H, W), uint8 up to 256 classes, else uint16.
    """
    check_floats("logits", logits, "(C, h, w)", 3)
    if not 2 <= logits.shape[0] <= 65536:
        raise ArgumentError(
            f"logits must have 2 to 65536 classes, got shape {logits.shape}; one channel is for binary_map"
        )
    size = checked_size("size", size)
    dtype = np.dtype(np.uint8 if logits.shape[0] <= 256 else np.uint16)
    out = checked_out(out, size, dtype)
    threads = checked_threads(threads)
    part, processed = checked_window(window, logits.shape[1:]), checked_processed_size(processed_size)
    count_nonfinite(report, core.argmax_map(logits, out, part, processed, threads))
    return out


def binary_map(
    scores: Floats,
    size: Size,
    *,
    threshold: float = 0.0,
    probabilities: bool = False,
    values: tuple[int, int] = (1, 0),
    threads: int = 0,
    out: NDArray[Any] | None = None,
    window: Window | None = None,
    report: Report | None = None,
) -> NDArray[np.uint8]:
    """Where the interpolated score of one object is above a threshold.

    Args:
        scores: shape (1, h, w).
        size: (H, W) of the map.
        threshold: of the interpolated score; a score equal to it is not above.
        probabilities: take the sigmoid of the scores before interpolation; the threshold is one of probabilities then.
        values: what is written where the score is above, and elsewhere; 0 to 255 each.
        threads: the most threads to use.
        out: uint8 (H, W) to write into; rows must be contiguous.
        window: the part of the grid that shows the picture.
        report: counts values that are not finite.

    Returns:
        uint8 (H, W).
    """
    check_floats("scores", scores, "(1, h, w)", 3)
    if scores.shape[0] != 1:
        raise ArgumentError(
            f"scores must have shape (1, h, w), got {scores.shape}; several channels are for argmax_map"
        )
    if not isinstance(threshold, float | int) or math.isnan(threshold):
        raise ArgumentError(f"threshold must be a number, got {threshold!r}")
    if len(values) != 2 or not all(isinstance(value, int) and 0 <= value <= 255 for value in values):
        raise ArgumentError(f"values must be two integers of 0 to 255, got {values!r}")
    size = checked_size("size", size)
    out = checked_out(out, size, np.dtype(np.uint8))
    part = checked_window(window, scores.shape[1:])
    # Beyond float32's range a threshold is infinite there: nothing is above it, or everything.
    limit = min(max(float(threshold), -_LARGEST), _LARGEST)
    count_nonfinite(report, core.binary_map(scores, out, limit, probabilities, *values, part, checked_threads(threads)))
    return out


def query_semantic(
    class_logits: Floats,
    mask_logits: Floats,
    size: Size,
    *,
    threads: int = 0,
    out: NDArray[Any] | None = None,
    window: Window | None = None,
    processed_size: Size | None = None,
    report: Report | None = None,
) -> NDArray[Any]:
    """The class map of a query-based network: MaskFormer's `post_process_semantic_segmentation`.

    A class's score in a grid cell is the sum over queries of softmax(class_logits) * sigmoid(mask_logits), "no object"
    left out; scores are interpolated, and the highest wins.

    Args:
        class_logits: shape (Q, C + 1), at least two classes; the last column is "no object".
        mask_logits: shape (Q, h, w).
        size: (H, W) of the map.
        threads: the most threads to use.
        out: (H, W) to write into, uint8 up to 256 classes, else uint16; rows must be contiguous.
        window: the part of the grid that shows the picture.
        processed_size: (h, w) to which the mask logits are enlarged first, and where the scores are added up, as
            transformers does for Mask2Former (384, 384) and EoMT (the network's size); on the grid without it.
        report: counts values that are not finite.

    Returns:
        (H, W), uint8 up to 256 classes, else uint16.
    """
    check_queries(class_logits, mask_logits)
    classes = class_logits.shape[1] - 1
    if not 2 <= classes <= 65536 or len(class_logits) == 0:
        raise ArgumentError(
            f"class_logits must have at least 1 query and 2 to 65536 classes beside no object, got {class_logits.shape}"
        )
    size = checked_size("size", size)
    class_map = checked_out(out, size, np.dtype(np.uint8 if classes <= 256 else np.uint16))
    part, processed = checked_window(window, mask_logits.shape[1:]), checked_processed_size(processed_size)
    nonfinite = core.query_semantic(class_logits, mask_logits, class_map, part, processed, checked_threads(threads))
    count_nonfinite(report, nonfinite)
    return class_map
