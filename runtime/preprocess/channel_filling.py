"""Arrays of any number of channels, of bytes, 16-bit values or floats, brought to a network's input."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.preprocess.input_spec import InputSpec, Resize

Raster = npt.NDArray[Any]
_GROUP = 3  # channels that the core resizes at a time
_MOST_RESIZED = 4  # channels that OpenCV resizes at a time, in every interpolation
_INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST_EXACT,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}


def fill_channels(image: Raster, spec: InputSpec, window: tuple[slice, slice], view: Raster, threads: int) -> None:
    """Write `image` (H, W, C), in the order of `spec`, into `window` of `view`, one picture of the input, and pad."""
    rows = view if spec.layout == "NHWC" else view.transpose(1, 2, 0)
    pads = np.array(spec.pads, np.float64)
    size = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    values = resized(image, size, spec.resize, rounded=spec.dtype == "uint8", threads=threads)
    if spec.dtype != "uint8":
        pads = (pads * spec.scale - spec.means) / spec.stds
        values = values.astype(np.float32, copy=False)
        # As the core does it for pictures: one factor and one offset a channel.
        values = values * np.float32(spec.scale / np.array(spec.stds)) - np.float32(np.array(spec.means) / spec.stds)
    rows[...] = pads
    rows[window] = values


def resized(image: Raster, size: tuple[int, int], resize: Resize, *, rounded: bool, threads: int = 0) -> Raster:
    """Return `image` (H, W, C) resized to `size` (h, w) as `resize` states.

    Antialiased bytes are Pillow's, antialiased 16-bit values and floats Pillow's of mode F. Else it is OpenCV: floats
    stay what they are, bytes and 16-bit values are interpolated as floats, rounded in the end where it is asked for.
    """
    if image.shape[:2] == size:
        return image
    if resize.antialias and image.dtype == np.uint8:
        return _antialiased_bytes(image, size, cubic=resize.interpolation == "cubic", threads=threads)
    if resize.antialias:
        return _antialiased(image.astype(np.float32, copy=False), size, cubic=resize.interpolation == "cubic")
    linear = cv2.INTER_LINEAR_EXACT if rounded and image.dtype == np.uint8 else cv2.INTER_LINEAR
    flag = linear if resize.interpolation == "linear" else _INTERPOLATIONS[resize.interpolation]
    as_floats = resize.interpolation == "linear" and not rounded
    source = image.astype(np.float32, copy=False) if as_floats else image
    out = np.empty((*size, image.shape[2]), source.dtype)
    for first in range(0, image.shape[2], _MOST_RESIZED):
        group = np.ascontiguousarray(source[..., first : first + _MOST_RESIZED])
        scaled = cv2.resize(group, (size[1], size[0]), interpolation=flag)
        out[..., first : first + _MOST_RESIZED] = scaled if scaled.ndim == 3 else scaled[..., None]
    return out


def _antialiased_bytes(image: Raster, size: tuple[int, int], *, cubic: bool, threads: int) -> Raster:
    """Return bytes resized by the core, three channels at a time."""
    channels = image.shape[2]
    out = np.empty((*size, channels), np.uint8)
    for first in range(0, channels, _GROUP):
        count = min(_GROUP, channels - first)
        group = np.zeros((*image.shape[:2], _GROUP), np.uint8)
        group[..., :count] = image[..., first : first + count]
        out[..., first : first + count] = postproc.resize_antialias(group, size, cubic=cubic, threads=threads)[
            ..., :count
        ]
    return out


def _antialiased(image: Raster, size: tuple[int, int], *, cubic: bool) -> Raster:
    """Return floats resized as Pillow does with pictures of mode F: along x, then along y, each rounded to float32."""
    wide = np.einsum("hwc,ow->hoc", image, _filter(image.shape[1], size[1], cubic), optimize=True).astype(np.float32)
    tall = np.einsum("hwc,oh->owc", wide, _filter(image.shape[0], size[0], cubic), optimize=True)
    return np.ascontiguousarray(tall.astype(np.float32))


def _filter(source: int, target: int, cubic: bool) -> npt.NDArray[np.float64]:
    """Return the weights (target, source) of Pillow's BILINEAR or BICUBIC: precompute_coeffs of Resample.c."""
    scale = source / target
    widening = max(scale, 1.0)
    support = (2.0 if cubic else 1.0) * widening
    weights = np.zeros((target, source))
    for index in range(target):
        center = (index + 0.5) * scale
        first, last = max(int(center - support + 0.5), 0), min(int(center + support + 0.5), source)
        distance = np.abs((np.arange(first, last) - center + 0.5) / widening)
        weight = _bicubic(distance) if cubic else np.maximum(1.0 - distance, 0.0)
        weights[index, first:last] = weight / weight.sum()
    return weights


def _bicubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Pillow's bicubic filter, a = -0.5, at distances `x`."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
