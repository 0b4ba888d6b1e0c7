"""Resizing alone: pictures on their way into a network, and grids on their way back to the picture."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import (
    ArgumentError,
    Size,
    check_choice,
    check_floats,
    checked_size,
    checked_threads,
    describe,
)
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.types import Floats


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
    image = _checked_image(image)
    height, width = checked_size("size", size)
    check_choice("interpolation", interpolation, ("linear",))
    check_choice("layout", layout, ("NCHW", "NHWC", "CHW", "HWC"))
    means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if means.shape != (3,) or stds.shape != (3,) or not np.isfinite([*means, *stds, scale]).all() or (stds == 0).any():
        raise ArgumentError(f"mean and std must be 3 finite numbers each, std not 0, got mean={mean}, std={std}")
    shape = (3, height, width) if layout.endswith("CHW") else (height, width, 3)
    if out is None:
        out = np.empty((1, *shape) if layout.startswith("N") else shape, np.float32)
    elif not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape not in (shape, (1, *shape)):
        raise ArgumentError(f"out must be float32 with shape {shape} or {(1, *shape)}, got {describe(out)}")
    target = out[0] if out.ndim == 4 else out
    factor, offset = scale / stds, -means / stds
    channel_axis = 0 if layout.endswith("CHW") else 2
    core.resize_normalize(
        image, target, channel_axis, tuple(factor), tuple(offset), bool(swap_rb), checked_threads(threads)
    )
    return out


def resize_antialias(
    image: NDArray[np.uint8],
    size: Size,
    *,
    cubic: bool = False,
    out: NDArray[np.uint8] | None = None,
    threads: int = 0,
) -> NDArray[np.uint8]:
    """Resize a picture with antialiasing, bit for bit as Pillow's BILINEAR or BICUBIC, x first.

    Pillow's `Image.resize` (src/libImaging/Resample.c) widens the filter by the shrinking factor, rounds the weights to
    22 bits, filters along x, rounds to 8 bits, then filters along y. torchvision's antialias=True does the same.
    (Pillow 13 takes y first where that is cheaper, which moves a few values by some grey levels.)

    Args:
        image: uint8 (H, W, 3); a view with other row strides is read in place.
        size: (h, w) of the result.
        cubic: bicubic instead of bilinear.
        out: contiguous uint8 (h, w, 3) to write into; it must not overlap `image`.
        threads: the most threads to use.

    Returns:
        `out`, or a new array.
    """
    image = _checked_image(image)
    out = _resized_picture(size, out)
    core.resize_antialias(image, out, bool(cubic), checked_threads(threads))
    return out


def resize_floor(
    image: NDArray[np.uint8], size: Size, *, out: NDArray[np.uint8] | None = None, threads: int = 0
) -> NDArray[np.uint8]:
    """Resize a picture bilinearly and cut its values off to whole grey levels, bit for bit as scikit-image's `resize`.

    It is `skimage.transform.resize(image, size, order=1, mode="constant", preserve_range=True, anti_aliasing=False)`
    of version 0.19 or later, then `astype(uint8)`: what Matterport's Mask R-CNN does with its pictures. There is black
    beyond the picture, which darkens the outermost pixels of an enlarged one, down to the picture's lowest value.

    Args:
        image: uint8 (H, W, 3); a view with other row strides is read in place.
        size: (h, w) of the result.
        out: contiguous uint8 (h, w, 3) to write into; it must not overlap `image`.
        threads: the most threads to use.

    Returns:
        `out`, or a new array.
    """
    image = _checked_image(image)
    out = _resized_picture(size, out)
    core.resize_floor(image, out, checked_threads(threads))
    return out


def copy_picture(
    image: NDArray[np.uint8], out: NDArray[np.uint8], *, rows: NDArray[np.int32] | None = None, threads: int = 0
) -> None:
    """Copy `image`, uint8 (H, W, 3) with contiguous rows, into the contiguous `out` of its shape.

    `rows` int32 (n,) are the rows that are copied, one after the other, into `out` (n, W, 3). `threads` is the most to
    use, 0 for all processors: one alone does not keep memory busy.
    """
    call_checked(core.copy_picture, image, out, rows, checked_threads(threads))


def antialias_taps(
    source: int, target: int, *, cubic: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return what `resize_antialias` adds up along one axis of `source` pixels that becomes `target`.

    Target pixel i is the sum of weights[i, k] times source pixel first[i] + k over k < count[i], with 22 bits of
    fraction: first (target,), count (target,), weights (target, the most).
    """
    source, target = checked_size("source and target", (source, target))
    return core.antialias_taps(source, target, bool(cubic))


def resize_by_way(
    stack: Floats, way: Size, cut: tuple[int, int, int, int], size: Size, *, threads: int = 0
) -> NDArray[np.float32]:
    """Bring grids of numbers to a picture's size by way of the network's: detectron2's `sem_seg_postprocess`.

    Args:
        stack: shape (K, h, w).
        way: (h, w) of the network's input, to which it is enlarged first.
        cut: (top, left, bottom, right) in whole pixels of `way`: the part that shows the picture.
        size: (H, W) of the result.
        threads: the most threads to use.

    Returns:
        float32 (K, H, W); values that are not finite count as the lowest and the largest numbers.
    """
    check_floats("stack", stack, "(K, h, w)", 3)
    way, size = checked_size("way", way), checked_size("size", size)
    top, left, bottom, right = cut
    if not (0 <= top < bottom <= way[0] and 0 <= left < right <= way[1]):
        raise ArgumentError(f"cut must be (top, left, bottom, right) inside {way}, got {cut}")
    out = np.empty((len(stack), *size), np.float32)
    core.resize_by_way(stack, out, way, (top, left, bottom, right), checked_threads(threads))
    return out


def _resized_picture(size: Size, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Return `out`, uint8 (h, w, 3) of `size`, checked, or a new array."""
    shape = (*checked_size("size", size), 3)
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != shape or not out.flags.c_contiguous:
        raise ArgumentError(f"out must be contiguous uint8 with shape {shape}, got {describe(out)}")
    return out


def _checked_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ArgumentError(f"image must be uint8 with shape (H, W, 3), got {describe(image)}")
    checked_size("the image's (H, W)", image.shape[:2])
    return image if image.strides[1:] == (3, 1) else np.ascontiguousarray(image)
