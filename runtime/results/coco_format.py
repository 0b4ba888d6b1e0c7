"""COCO's panoptic PNG: an id for each pixel, as a colour.

Format: https://cocodataset.org/#format-data; the colour of an id is panopticapi's (utils.py).
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError
from segrt.runtime.files.images import check_picture, encode_image, read_picture_file
from segrt.runtime.files.picture_size import picture_size
from segrt.runtime.files.reading import is_regular
from segrt.runtime.files.truncation import is_truncated
from segrt.runtime.postproc import ids_of_colors


@overload
def id2rgb(ids: int) -> list[int]: ...
@overload
def id2rgb(ids: npt.NDArray[Any]) -> npt.NDArray[np.uint8]: ...
def id2rgb(ids: "int | npt.NDArray[Any]") -> "list[int] | npt.NDArray[np.uint8]":
    """Return the colour of each id, id = R + 256 G + 256² B: (H, W) → uint8 (H, W, 3) RGB, or an int → [R, G, B]."""
    if not isinstance(ids, np.ndarray):
        return [ids & 0xFF, ids >> 8 & 0xFF, ids >> 16 & 0xFF]
    # The low three bytes of a little-endian integer are R, G, B in this order.
    parts = np.ascontiguousarray(ids, dtype="<u4").view(np.uint8).reshape(*ids.shape, 4)
    return np.ascontiguousarray(parts[..., :3])


def encode_panoptic_png(segment_ids: npt.NDArray[Any]) -> bytes:
    """Return the PNG file of `segment_ids`, integers (H, W) of 0 to 2²⁴ - 1."""
    lowest, highest = int(segment_ids.min()), int(segment_ids.max())
    if lowest < 0 or highest >= 1 << 24:
        raise ValueError(
            f"segment_ids must be 0 to {(1 << 24) - 1} to fit a PNG's colours, but holds {lowest} to {highest}"
        )
    return encode_image(np.ascontiguousarray(id2rgb(segment_ids)[..., ::-1]), ".png")


def read_panoptic_png(path: "str | os.PathLike[str]") -> npt.NDArray[np.int32]:
    """Read a panoptic PNG; return its segment ids, int32 (H, W), 0 = void.

    Raises:
        ImageError: the file is missing, no picture, or not 8-bit RGB.
    """
    return ids_of_colors(read_panoptic_picture(path))


def read_panoptic_picture(path: "str | os.PathLike[str]") -> npt.NDArray[np.uint8]:
    """Read a panoptic PNG as it is, uint8 BGR (H, W, 3) or BGRA: the counting functions read ids from colours.

    Raises:
        ImageError: the file is missing, no picture, or not 8-bit RGB.
    """
    import cv2

    file = Path(path)
    if not is_regular(file):
        raise ImageError(f"{file} does not exist; give the folder that holds the panoptic PNG files")
    data = read_picture_file(file)
    image = None
    if picture_size(data) and not is_truncated(data):
        check_picture(data, str(file))
        with suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ImageError(f"{file} is no readable picture ({len(data)} bytes); it may be truncated: fetch it again")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ImageError(f"{file} must be an 8-bit RGB PNG of segment ids, but is {image.dtype} {image.shape}")
    return np.asarray(image, dtype=np.uint8)
