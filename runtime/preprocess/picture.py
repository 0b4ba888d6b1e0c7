"""Brings a picture to the network's input: resize, pad, channel order, layout, normalisation."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.errors import ImageError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.channel_filling import fill_channels
from segrt.runtime.preprocess.channels import Raster, as_channels, image_input
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.preprocess.whole_pixels import shown_size


def check_picture(image: npt.NDArray[Any]) -> Picture:
    """Return `image`, which must be uint8 BGR (H, W, 3) with at least one pixel; raise ImageError when it is not."""
    if not isinstance(image, np.ndarray):
        raise ImageError(f"image must be a numpy array, uint8 BGR (H, W, 3), but got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(
            f"image must be uint8 BGR with shape (H, W, 3) and at least one pixel, "
            f"but got {image.dtype} {image.shape}; segrt.runtime.files.images.read_image makes such arrays"
        )
    # OpenCV takes parts of a larger picture as they are, but neither mirrored nor thinned-out views.
    return image if image.strides[0] > 0 and image.strides[1:] == (3, 1) else np.ascontiguousarray(image)


def place(source_size: tuple[int, int], network_size: tuple[int, int], resize: Resize) -> Geometry:
    """Return where a picture of `source_size` (H, W) comes to lie in an input of `network_size` (h, w)."""
    height, width = network_size
    inner = shown_size(source_size, network_size, resize)
    top = (height - inner[0]) // 2 if resize.pad_side == "both" else 0
    left = (width - inner[1]) // 2 if resize.pad_side == "both" else 0
    return Geometry(source_size, network_size, (top, left, top + inner[0], left + inner[1]))


def fill_inputs(
    image: Raster,
    specs: Sequence[InputSpec],
    views: Mapping[str, npt.NDArray[Any]],
    index: int = 0,
    *,
    threads: int = 0,
) -> Geometry:
    """Write `image` into place `index` of the batch in `views`; return its geometry.

    `image` is uint8 BGR (H, W, 3), or what else the image input takes (see `channels`). `views` maps each input's name
    to its array by the manifest, batch first. Raises ImageError for a wrong array.
    """
    spec = image_input(specs)
    view = views[spec.name][index]
    if spec.color in ("rgb", "bgr") and spec.takes_pictures:
        image = check_picture(image)
        geometry = place((image.shape[0], image.shape[1]), spec.size, spec.resize)
        _fill_image(image, spec, geometry, view, threads)
    else:
        image = as_channels(image, spec)
        geometry = place((image.shape[0], image.shape[1]), spec.size, spec.resize)
        fill_channels(image, spec, _window(geometry), view, threads)
    for other in specs:
        if other.role == "valid_mask":
            mask = views[other.name][index]
            mask[...] = 0
            mask[_window(geometry)] = 1
        elif other.role == "state":
            views[other.name][index] = 0
    return geometry


def network_inputs(specs: Sequence[InputSpec], image: Raster) -> tuple[dict[str, npt.NDArray[Any]], Geometry]:
    """Return what a network is fed for `image` (see `fill_inputs`), name → array of batch 1, and its geometry."""
    arrays = {spec.name: np.zeros((1, *(int(dim) for dim in spec.shape[1:])), spec.dtype) for spec in specs}
    return arrays, fill_inputs(image, specs, arrays)


def resize_picture(image: Picture, size: tuple[int, int], resize: Resize, *, threads: int = 0) -> Picture:
    """Return `image` (H, W, 3) resized to `size` (h, w) with the interpolation that `resize` states."""
    if image.shape[:2] == size:
        return image
    if resize.interpolation == "skimage":
        return postproc.resize_floor(image, size, threads=threads)
    if resize.antialias:
        return postproc.resize_antialias(image, size, cubic=resize.interpolation == "cubic", threads=threads)
    flags = {
        "nearest": cv2.INTER_NEAREST_EXACT,
        "linear": cv2.INTER_LINEAR_EXACT,  # INTER_LINEAR rounds every third value otherwise on aarch64
        "cubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA,
    }
    resized: Picture = cv2.resize(image, (size[1], size[0]), interpolation=flags[resize.interpolation])  # type: ignore[assignment]
    return resized


def _fill_image(image: Picture, spec: InputSpec, geometry: Geometry, view: npt.NDArray[Any], threads: int) -> None:
    """Write `image` into `view`, one picture of the input (h, w, 3) or (3, h, w) by the layout of `spec`."""
    window = _window(geometry)
    inner = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    rows = view if spec.layout == "NHWC" else view.transpose(1, 2, 0)
    if spec.dtype == "uint8":
        _fill_padding(rows, spec.resize.pad, window)
        resized = resize_picture(image, inner, spec.resize, threads=threads)
        target = rows[window]
        if spec.color == "rgb" and spec.layout == "NHWC" and target.flags.c_contiguous:
            cv2.cvtColor(resized, cv2.COLOR_BGR2RGB, dst=target)
        else:
            target[...] = resized[..., ::-1] if spec.color == "rgb" else resized
        return
    pad = (np.array(spec.resize.pad, np.float64) * spec.scale - spec.mean) / spec.std
    _fill_padding(rows, pad, window)
    # Plain linear resizing is fused with the rest; every other kind comes first, and the pass below only normalises.
    fused = spec.resize.interpolation == "linear" and not spec.resize.antialias
    direct = view.dtype == np.float32
    target = rows[window] if spec.layout == "NHWC" else view[:, window[0], window[1]]
    values = postproc.resize_normalize(
        image if fused else resize_picture(image, inner, spec.resize, threads=threads),
        inner,
        mean=spec.mean,
        std=spec.std,
        scale=spec.scale,
        swap_rb=spec.color == "rgb",
        layout="HWC" if spec.layout == "NHWC" else "CHW",
        out=target if direct else None,
        threads=threads,
    )
    if not direct:
        target[...] = values


def _fill_padding(
    canvas: npt.NDArray[Any], pad: Sequence[float] | npt.NDArray[np.float64], window: tuple[slice, slice]
) -> None:
    """Write the colour `pad` around `window` of `canvas` (h, w, 3)."""
    rows, columns = window
    canvas[: rows.start] = pad
    canvas[rows.stop :] = pad
    canvas[rows, : columns.start] = pad
    canvas[rows, columns.stop :] = pad


def _window(geometry: Geometry) -> tuple[slice, slice]:
    top, left, bottom, right = (int(edge) for edge in geometry.window)
    return slice(top, bottom), slice(left, right)
