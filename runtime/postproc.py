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
from segrt.runtime.errors import SegrtError

__all__ = [
    "ArgumentError",
    "MergedSegment",
    "QueryInstances",
    "Report",
    "Rle",
    "argmax_map",
    "decode_rle",
    "encode_rle",
    "measure_rle",
    "merge_queries",
    "paste_masks",
    "paste_masks_rle",
    "query_instances_rle",
    "resize_normalize",
]

Floats = NDArray[np.float32] | NDArray[np.float16]
Size = tuple[int, int]
Window = tuple[float, float, float, float]
MergeRule = Literal["maskformer", "mask2former", "eomt", "detr"]


class ArgumentError(SegrtError, ValueError):
    """A wrong argument: the message names it, the value met and the remedy."""


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
    _check_choice("rule", rule, ("maskformer", "mask2former", "eomt", "detr"))
    _check_floats("class_logits", class_logits, "(Q, C+1)", 2)
    _check_floats("mask_logits", mask_logits, "(Q, h, w)", 3)
    _check_same_queries(class_logits, mask_logits)
    if class_logits.shape[1] < 2:
        raise ArgumentError(
            f"class_logits must have a column for no object beside the classes, got {class_logits.shape}"
        )
    size = _checked_size("size", size)
    if rule == "mask2former" and processed_size is None:
        processed_size = (384, 384)
    if processed_size is not None:
        if rule == "maskformer":
            raise ArgumentError("processed_size has no meaning for rule maskformer: leave it out")
        processed_size = _checked_size("processed_size", processed_size)
    out = _checked_out(out, size, np.dtype(np.int32))
    segments, nonfinite = _postproc.merge_queries(
        class_logits,
        mask_logits,
        out,
        rule,
        float(score_threshold),
        float(overlap_threshold),
        _class_list("stuff_classes", stuff_classes),
        processed_size,
        _checked_window(window, mask_logits.shape[1:]),
        bool(compat),
        _checked_threads(threads),
    )
    _count(report, nonfinite)
    return out, [MergedSegment(*segment) for segment in segments]


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
    _check_floats("logits", logits, "(C, h, w)", 3)
    if not 1 <= logits.shape[0] <= 65536:
        raise ArgumentError(f"logits must have 1 to 65536 classes, got shape {logits.shape}")
    size = _checked_size("size", size)
    dtype = np.dtype(np.uint8 if logits.shape[0] <= 256 else np.uint16)
    out = _checked_out(out, size, dtype)
    threads = _checked_threads(threads)
    _count(report, _postproc.argmax_map(logits, out, _checked_window(window, logits.shape[1:]), threads))
    return out


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
    _check_choice("activation", activation, ("softmax", "sigmoid"))
    _check_floats("class_logits", class_logits, "(Q, C+1)" if activation == "softmax" else "(Q, C)", 2)
    _check_floats("mask_logits", mask_logits, "(Q, h, w)", 3)
    _check_same_queries(class_logits, mask_logits)
    if class_logits.shape[1] < (2 if activation == "softmax" else 1):
        raise ArgumentError(f"class_logits must have at least one class, got shape {class_logits.shape}")
    height, width = _checked_size("size", size)
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
        _checked_window(window, mask_logits.shape[1:]),
        _checked_threads(threads),
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
    size = _checked_size("size", size)
    _check_boxes("masks", masks, boxes)
    _check_choice("rule", rule, ("torchvision", "detectron2"))
    shape = (masks.shape[0], *size)
    if out is None:
        out = np.empty(shape, np.bool_)
    elif not isinstance(out, np.ndarray) or out.dtype != np.bool_ or out.shape != shape or not out.flags.c_contiguous:
        raise ArgumentError(f"out must be contiguous bool with shape {shape}, got {_describe(out)}")
    threads = _checked_threads(threads)
    _count(report, _postproc.paste_masks(masks, boxes, out, float(threshold), rule, threads))
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
    height, width = _checked_size("size", size)
    _check_boxes("masks", masks, boxes)
    _check_choice("rule", rule, ("torchvision", "detectron2"))
    codes, nonfinite = _postproc.paste_masks_rle(
        masks, boxes, (height, width), float(threshold), rule, _checked_threads(threads)
    )
    _count(report, nonfinite)
    return [Rle(size=[height, width], counts=code) for code in codes]


def encode_rle(masks: NDArray[Any], *, threads: int = 0) -> list[Rle]:
    """COCO run-length codes of masks, byte-identical with pycocotools.

    Args:
        masks: bool or uint8 (not 0 is set), shape (N, H, W).
        threads: the most threads to use.
    """
    if not isinstance(masks, np.ndarray) or masks.dtype not in (np.bool_, np.uint8) or masks.ndim != 3:
        raise ArgumentError(f"masks must be bool or uint8 with shape (N, H, W), got {_describe(masks)}")
    if len(masks) == 0:
        return []
    height, width = _checked_size("the masks' (H, W)", masks.shape[1:])
    codes = _postproc.encode_masks(masks, _checked_threads(threads))
    return [Rle(size=[height, width], counts=code) for code in codes]


def decode_rle(rles: Sequence[Rle], *, threads: int = 0) -> NDArray[np.bool_]:
    """Masks, bool (N, H, W), of run-length codes that share one size. No codes give shape (0, 0, 0)."""
    size, codes = _codes_of(rles)
    out = np.empty((len(codes), *size), np.bool_)
    _call_checked(_postproc.decode_masks, codes, out, _checked_threads(threads))
    return out


def measure_rle(rles: Sequence[Rle]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Areas (N,) and extents (N, 4) as x0, y0, x1, y1 (edges; 0 when empty) of codes that share one size."""
    size, codes = _codes_of(rles)
    if not codes:
        return np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
    areas, boxes = _call_checked(_postproc.measure_codes, codes, size)
    return areas, boxes


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
        raise ArgumentError(f"image must be uint8 with shape (H, W, 3), got {_describe(image)}")
    _checked_size("the image's (H, W)", image.shape[:2])
    height, width = _checked_size("size", size)
    _check_choice("interpolation", interpolation, ("linear",))
    _check_choice("layout", layout, ("NCHW", "NHWC", "CHW", "HWC"))
    means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if means.shape != (3,) or stds.shape != (3,) or not np.isfinite([*means, *stds, scale]).all() or (stds == 0).any():
        raise ArgumentError(f"mean and std must be 3 finite numbers each, std not 0, got mean={mean}, std={std}")
    if image.strides[1:] != (3, 1):
        image = np.ascontiguousarray(image)
    shape = (3, height, width) if layout.endswith("CHW") else (height, width, 3)
    if out is None:
        out = np.empty((1, *shape) if layout.startswith("N") else shape, np.float32)
    elif not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape not in (shape, (1, *shape)):
        raise ArgumentError(f"out must be float32 with shape {shape} or {(1, *shape)}, got {_describe(out)}")
    target = out[0] if out.ndim == 4 else out
    factor, offset = scale / stds, -means / stds
    channel_axis = 0 if layout.endswith("CHW") else 2
    _postproc.resize_normalize(
        image, target, channel_axis, tuple(factor), tuple(offset), bool(swap_rb), _checked_threads(threads)
    )
    return out


def _describe(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _check_floats(name: str, value: object, shape: str, rank: int) -> None:
    if not isinstance(value, np.ndarray) or value.ndim != rank or value.dtype not in (np.float32, np.float16):
        raise ArgumentError(f"{name} must be float32 or float16 with shape {shape}, got {_describe(value)}")
    if rank == 3 and 0 in value.shape[1:]:
        raise ArgumentError(f"{name} must have shape {shape} with h and w at least 1, got {value.shape}")


def _check_same_queries(class_logits: Floats, mask_logits: Floats) -> None:
    if class_logits.shape[0] != mask_logits.shape[0]:
        raise ArgumentError(
            "class_logits and mask_logits must have the same number of queries, "
            f"got {class_logits.shape[0]} and {mask_logits.shape[0]}"
        )


def _check_boxes(name: str, masks: Floats, boxes: Floats) -> None:
    _check_floats(name, masks, "(N, m, m)", 3)
    _check_floats("boxes", boxes, "(N, 4)", 2)
    if boxes.shape != (masks.shape[0], 4):
        raise ArgumentError(
            f"boxes must have shape {(masks.shape[0], 4)} as {name} has {len(masks)}, got {boxes.shape}"
        )


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ArgumentError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _checked_size(name: str, size: Sequence[int]) -> Size:
    try:
        height, width = (int(edge) for edge in size)
        whole = (height, width) == tuple(size)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be (height, width), got {size!r}") from None
    if not whole or height < 1 or width < 1 or max(height, width) > 1 << 20 or height * width >= 1 << 31:
        raise ArgumentError(f"{name} must be (height, width), at least 1 and below 2**31 pixels in all, got {size!r}")
    return height, width


def _checked_out(out: NDArray[Any] | None, size: Size, dtype: np.dtype[Any]) -> NDArray[Any]:
    if out is None:
        return np.empty(size, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype or out.shape != size or not out.flags.writeable:
        raise ArgumentError(f"out must be writable {dtype} with shape {size}, got {_describe(out)}")
    if (size[1] > 1 and out.strides[1] != dtype.itemsize) or out.strides[0] % dtype.itemsize:
        raise ArgumentError(f"out must have contiguous rows, got strides {out.strides}")
    return out


def _checked_window(window: Window | None, grid: Sequence[int]) -> Window | None:
    if window is None:
        return None
    try:
        top, left, bottom, right = (float(edge) for edge in window)
    except (TypeError, ValueError):
        raise ArgumentError(f"window must be (top, left, bottom, right), got {window!r}") from None
    if not (0 <= top < bottom <= grid[0] and 0 <= left < right <= grid[1]):
        raise ArgumentError(f"window must be (top, left, bottom, right) within the grid {tuple(grid)}, got {window!r}")
    return top, left, bottom, right


def _checked_threads(threads: int) -> int:
    if not 0 <= threads <= 256:
        raise ArgumentError(f"threads must be between 0 (the default number) and 256, got {threads}")
    return int(threads)


def _class_list(name: str, classes: Iterable[int]) -> list[int]:
    try:
        return [int(c) for c in classes]
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be class ids, got {classes!r}") from None


def _codes_of(rles: Sequence[Rle]) -> tuple[Size, list[bytes]]:
    if not rles:
        return (0, 0), []
    size = _checked_size("size of the codes", rles[0]["size"])
    for rle in rles:
        if tuple(rle["size"]) != size:
            raise ArgumentError(f"rles must share one size, got {list(size)} and {rle['size']}")
        if not isinstance(rle["counts"], bytes):
            raise ArgumentError(
                f"rles must have packed counts (bytes), got {type(rle['counts']).__name__}: encode them"
            )
    return size, [rle["counts"] for rle in rles]


def _call_checked(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ValueError as error:
        raise ArgumentError(str(error)) from None


def _count(report: Report | None, nonfinite: int) -> None:
    if report is not None:
        report.nonfinite += nonfinite
