"""The channels that an input wants: of a picture's file, or of an array that a program gives."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError
from segrt.runtime.files.images import Picture, read_image
from segrt.runtime.files.rasters import read_raster
from segrt.runtime.preprocess.input_spec import InputSpec

Raster = npt.NDArray[Any]
"""A picture as a network wants it: uint8, uint16 or float32, (H, W) or (H, W, C), colours in OpenCV's order."""

_COLORS = 3
_OPAQUE = {"uint8": 255, "uint16": 65_535, "float32": 1.0}


def read_input(path: Path, inputs: Sequence[InputSpec]) -> Raster:
    """Return the picture at `path` as the image input among `inputs` wants it; raise ImageError if it cannot.

    Where ordinary pictures are all that it wants, uint8 BGR (H, W, 3), upright; else values as they stand in the file:
    bands in the file's order, colours in OpenCV's.
    """
    spec = image_input(inputs)
    if spec.takes_pictures and path.suffix.lower() != ".npy":
        return read_image(path)
    raster = read_raster(path)
    if spec.color != "bands" and path.suffix.lower() != ".npy" and raster.ndim == 3 and raster.shape[2] >= _COLORS:
        raster = np.concatenate([raster[..., 2::-1], raster[..., 3:]], axis=2)
    return raster


def refuse_pictures(spec: InputSpec, source: str) -> None:
    """Raise ImageError where `source` gives ordinary pictures, uint8 BGR (H, W, 3), and the input takes others.

    Three bands are no colours either: nobody says which band is which.
    """
    if spec.color != "bands":
        try:
            as_channels(np.zeros((1, 1, _COLORS), np.uint8), spec)
        except ImageError:
            pass
        else:
            return
    raise ImageError(
        f"{source}: gives colours of 8 bits, but input {spec.name!r} takes {wanted(spec)}; give a folder of such "
        "pictures (.npy, TIFF, PNG)"
    )


def level_picture(spec: InputSpec, size: tuple[int, int], level: float = 0.5) -> Raster:
    """Return a picture of `size` (H, W) that the input takes, all of its values `level` (0 to 1) of the largest."""
    channels = _COLORS if spec.takes_pictures else spec.channels
    return np.full((*size, channels), level * _OPAQUE[spec.value_dtype], np.dtype(spec.value_dtype))


def image_input(inputs: Sequence[InputSpec]) -> InputSpec:
    """Return the input that takes the picture."""
    return next(spec for spec in inputs if spec.role == "image")


def as_channels(image: Raster, spec: InputSpec) -> Raster:
    """Return `image` as (H, W, C) in the order and of the values that `spec` wants; raise ImageError if it cannot be.

    Colours become grey, a missing alpha opaque; bands must be as many as the input's. Integers are taken for floats,
    no values are scaled.
    """
    given, image = image, _checked(image, spec)
    image = image[..., None] if image.ndim == 2 else image
    channels = image.shape[2]
    possible = {"grey": (1, _COLORS, _COLORS + 1), "rgb": (_COLORS,), "bgr": (_COLORS,), "bands": (spec.channels,)}
    if channels not in possible.get(spec.color, (_COLORS, _COLORS + 1)):
        raise _refused(given, spec)
    if spec.color == "bands":
        return np.ascontiguousarray(image)
    if spec.color == "grey":
        return np.ascontiguousarray(image) if channels == 1 else grey(image, spec)[..., None]
    if spec.color in ("rgb", "bgr"):
        return np.ascontiguousarray(image[..., ::-1] if spec.color == "rgb" else image)
    if channels == _COLORS:
        opaque = np.full((*image.shape[:2], 1), _OPAQUE[spec.value_dtype], image.dtype)
        image = np.concatenate([image, opaque], axis=2)
    return np.ascontiguousarray(image[..., [2, 1, 0, 3]] if spec.color == "rgba" else image)


def grey(image: Raster, spec: InputSpec) -> Raster:
    """Return BGR or BGRA colours (H, W, 3 or 4) as grey (H, W), by the arithmetic that `spec` names."""
    colors = np.ascontiguousarray(image[..., :_COLORS])
    if spec.grey == "pillow" and colors.dtype == np.uint8:
        from PIL import Image

        return np.asarray(Image.fromarray(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB)).convert("L"))
    converted: Raster = cv2.cvtColor(colors, cv2.COLOR_BGR2GRAY)
    return converted


def is_picture(image: Raster) -> bool:
    """Whether `image` is an ordinary picture, uint8 (H, W, 3)."""
    return image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == _COLORS


def shown(image: Raster) -> Picture:
    """Return `image` as a picture to draw on, uint8 BGR (H, W, 3).

    Of more than four channels the first three are shown, of two the first; values beyond bytes are stretched from the
    lowest to the highest.
    """
    image = image[..., None] if image.ndim == 2 else image
    image = image[..., : _COLORS if image.shape[2] >= _COLORS else 1]
    if image.dtype != np.uint8:
        values = np.nan_to_num(image.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        image = np.round((values - low) * (255 / (high - low) if high > low else 0.0)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], _COLORS)))


def _checked(image: Raster, spec: InputSpec) -> Raster:
    if not isinstance(image, np.ndarray):
        raise ImageError(f"image must be a numpy array, {wanted(spec)}, but got {type(image).__name__}")
    if image.ndim not in (2, 3) or image.size == 0:
        raise _refused(image, spec)
    if image.dtype == spec.value_dtype:
        return image
    if spec.value_dtype == "float32" and image.dtype in (np.uint8, np.uint16, np.float16, np.float64):
        return image.astype(np.float32)
    raise _refused(image, spec)


def wanted(spec: InputSpec) -> str:
    """Return what arrays an input takes, "uint16 grey (H, W) or BGR (H, W, 3)" for instance."""
    shapes = {
        "grey": "grey (H, W) or BGR (H, W, 3)",
        "rgba": "BGRA (H, W, 4) or BGR (H, W, 3)",
        "bands": f"(H, W, {spec.channels})",
    }
    color = "rgba" if spec.color == "bgra" else spec.color
    return f"{spec.value_dtype} {shapes.get(color, 'BGR (H, W, 3)')}"


def _refused(image: Raster, spec: InputSpec) -> ImageError:
    return ImageError(
        f"image must be {wanted(spec)} for input {spec.name!r}, but got {image.dtype} {image.shape}; give an array or "
        "a file (.npy, TIFF, PNG) of such values"
    )
