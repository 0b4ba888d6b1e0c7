"""Masks of boxes at source size: from box-sized masks and from prototypes."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import (
    ArgumentError,
    Size,
    Window,
    check_boxes,
    check_choice,
    check_floats,
    checked_size,
    checked_threads,
    checked_window,
    describe,
)
from segrt.runtime.postproc.calls import count_nonfinite
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import Floats, Report, Rle

LENT_BYTES = 1 << 20  # results as large as this take memory of such that were let go


def _new_pictures(count: int, size: Size) -> tuple[NDArray[np.bool_], bool]:
    """Bool (count, *size), and whether it is all false; its pages are only written where a box is, or to clear them."""
    if count * size[0] * size[1] < LENT_BYTES:
        return np.zeros((count, *size), np.bool_), True
    return core.lent_pictures(count, size)


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

    What lies outside a mask counts as 0, a probability of nothing: at the mask's edges it is blended in, as the peers
    do. Logits, where 0 means 0.5, are made probabilities first.

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
        bool (N, H, W). Its memory, where it is a megabyte or more, is used again for the next result once no view of it
        is left: up to 256 MB are kept so, and what nobody asked for in 10 seconds goes back with the next call.
    """
    size = checked_size("size", size)
    check_boxes("masks", masks, boxes)
    check_choice("rule", rule, ("torchvision", "detectron2"))
    shape = (masks.shape[0], *size)
    zeroed = out is None
    if out is None:
        out, zeroed = _new_pictures(len(masks), size)
    elif not isinstance(out, np.ndarray) or out.dtype != np.bool_ or out.shape != shape or not out.flags.c_contiguous:
        raise ArgumentError(f"out must be contiguous bool with shape {shape}, got {describe(out)}")
    threads = checked_threads(threads)
    count_nonfinite(report, core.paste_masks(masks, boxes, out, zeroed, float(threshold), rule, threads))
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
    codes, nonfinite = core.paste_masks_rle(
        masks, boxes, (height, width), float(threshold), rule, checked_threads(threads)
    )
    count_nonfinite(report, nonfinite)
    return [Rle(size=[height, width], counts=code) for code in codes]


def whole_masks_rle(
    masks: Floats,
    size: Size,
    *,
    threshold: float = 0.5,
    threads: int = 0,
    window: Window | None = None,
    report: Report | None = None,
) -> list[Rle]:
    """Masks that lie in the whole picture already, enlarged to its size and cut at a threshold.

    Args:
        masks: shape (N, h, w), each a grid over the network's whole input. Nothing is filled in: beyond the grid its
            edge cells count on.
        size: (H, W) of the picture that the grid shows.
        threshold: pixels whose interpolated value is above it belong to a mask.
        threads: the most threads to use.
        window: the part of the grid that shows the picture.
        report: counts values that are not finite.
    """
    height, width = checked_size("size", size)
    check_floats("masks", masks, "(N, h, w)", 3)
    codes, nonfinite = core.whole_masks_rle(
        masks, (height, width), float(threshold), checked_window(window, masks.shape[1:]), checked_threads(threads)
    )
    count_nonfinite(report, nonfinite)
    return [Rle(size=[height, width], counts=code) for code in codes]


def stepwise_masks_rle(
    masks: Floats,
    size: Size,
    *,
    processed_size: Size,
    window: Window,
    threshold: float = 0.5,
    threads: int = 0,
) -> list[Rle]:
    """As `whole_masks_rle`, in two steps: to a size in between, then the window's part of that to the picture's size.

    Args:
        masks: shape (N, h, w), each a grid over the network's whole input.
        size: (H, W) of the picture.
        processed_size: (h, w) to which each grid is enlarged first.
        window: the part of that size, in its pixels, that shows the picture. What lies outside takes no part.
        threshold: pixels whose interpolated value is above it belong to a mask.
        threads: the most threads to use.
    """
    height, width = checked_size("size", size)
    check_floats("masks", masks, "(N, h, w)", 3)
    processed = checked_size("processed_size", processed_size)
    codes, _ = core.stepwise_masks_rle(
        masks, (height, width), float(threshold), processed, checked_window(window, processed), checked_threads(threads)
    )
    return [Rle(size=[height, width], counts=code) for code in codes]


def prototype_masks_rle(
    prototypes: Floats,
    coefficients: Floats,
    boxes: Floats,
    size: Size,
    *,
    threads: int = 0,
    window: Window | None = None,
    processed_size: Size | None = None,
    compat: bool = False,
    report: Report | None = None,
) -> list[Rle]:
    """Masks from prototypes, as YOLO and YOLACT make them: ultralytics 8.4's `process_mask_native`.

    Masks are enlarged, then cut at the box: no pixel outside takes part in a mask, and none of the inside is blended
    with a value for the outside. Beyond the grid its edge cells count on.

    Args:
        prototypes: shape (P, h, w).
        coefficients: shape (N, P); a mask is the sum of the prototypes weighted by its coefficients.
        boxes: shape (N, 4): x0, y0, x1, y1 in pixels of `size`; pixel (y, x) lies inside where x0 <= x < x1 and
            y0 <= y < y1. A box that is not finite gives an empty mask.
        size: (H, W) of the picture that the grid shows; pixels whose interpolated value is above 0 belong to a mask.
        threads: the most threads to use.
        window: the part of the grid that shows the picture.
        processed_size: (h, w) that the whole grid is enlarged to first; what the window shows is then cut out, so that
            padding is not blended in. None: in one step from the grid, blended with what lies around the window.
        compat: as ultralytics did up to 8.3 and YOLOv5 does: cells outside the box are 0, a probability of 0.5, before
            the grid is enlarged, so that masks reach up to half a cell out of their boxes; `processed_size` has no
            meaning then.
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
    if processed_size is not None:
        if compat:
            raise ArgumentError("processed_size has no meaning with compat: leave it out")
        processed_size = checked_size("processed_size", processed_size)
    codes, nonfinite = core.prototype_masks_rle(
        prototypes,
        coefficients,
        boxes,
        (height, width),
        checked_window(window, prototypes.shape[1:]),
        processed_size,
        bool(compat),
        checked_threads(threads),
    )
    count_nonfinite(report, nonfinite)
    return [Rle(size=[height, width], counts=code) for code in codes]
