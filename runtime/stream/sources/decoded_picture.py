"""From a decoded frame to the picture that people see: BGR, square pixels, upright."""

import struct
from fractions import Fraction
from typing import Any

import av
import av.error
import cv2
import numpy as np

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.swscale import one_thread

FULL_RANGE = 2
"""`color_range` of pictures whose luma goes from 0 to 255 (AVCOL_RANGE_JPEG)."""

_OTHER_MATRICES = (1, 7, 9)  # AVCOL_SPC_BT709, SMPTE240M, BT2020_NCL
_UNCONVERTED = {3: "of a reserved kind", 8: "YCgCo", 10: "BT.2020 with constant luminance"}
_UNCONVERTED |= {11: "SMPTE 2085", 12: "chromaticity-derived", 13: "chromaticity-derived", 14: "ICtCp"}
_UNCONVERTED |= {15: "IPT-C2", 16: "YCgCo-R", 17: "YCgCo-R"}
Matrix = tuple[float, float, float, float]


def to_picture(decoded: av.VideoFrame, pixel_ratio: Fraction, matrix: Matrix | None) -> Picture:
    """Return the decoded frame as uint8 BGR (H, W, 3) with square pixels, turned as its display `matrix` says.

    `pixel_ratio` is width to height of a pixel; the shorter side of the pixel is stretched, so that nothing is lost.
    Bit depth, chroma subsampling, colour matrix and range are converted by swscale. Raises VideoError for colours that
    it does not convert.
    """
    width, height = decoded.width, decoded.height
    if pixel_ratio > 1:
        width = max(1, round(width * pixel_ratio))
    elif pixel_ratio < 1:
        height = max(1, round(height / pixel_ratio))
    options: dict[str, Any] = {"format": "bgr24", "width": width, "height": height, **one_thread()}
    if decoded.colorspace in _OTHER_MATRICES and decoded.format.name.startswith("yuv"):
        # BGR has no matrix, but naming one makes PyAV before 17 apply the source's, which it else takes for BT.601.
        options["dst_colorspace"] = "ITU601"
        if decoded.color_range == FULL_RANGE:
            options["src_color_range"] = "JPEG"
    try:
        picture = np.asarray(decoded.to_ndarray(**options), dtype=np.uint8)
    except (av.error.FFmpegError, OSError):
        if decoded.colorspace not in _UNCONVERTED:
            raise
        what = _UNCONVERTED[decoded.colorspace]
        raise VideoError(f"its colours are {what}, which FFmpeg does not convert; encode it again as BT.709") from None
    return picture if matrix is None else turn(picture, matrix)


def pixel_ratio_of(stream: Any) -> Fraction:
    """Return width to height of a pixel; 1 where the file says nothing, or nonsense."""
    ratio = stream.sample_aspect_ratio
    return Fraction(ratio) if ratio and Fraction(1, 4) <= ratio <= 4 else Fraction(1)


def display_matrix(decoded: av.VideoFrame) -> Matrix | None:
    """Return (a, b, c, d) of the frame's display matrix, which maps (x, y) to (a x + c y, b x + d y), or None.

    Not for every frame: PyAV's frame and side data then refer to each other and stay until the collector comes.
    """
    data: Any = decoded.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    return a / 65536, b / 65536, c / 65536, d / 65536


def turn(picture: Picture, matrix: Matrix) -> Picture:
    """Turn and mirror by a display matrix (a, b, c, d), y pointing down; other than right angles are left alone."""
    a, b, c, d = (round(value) for value in matrix)
    if abs(a) == 1 and abs(d) == 1 and b == c == 0:
        right, down, turned = a, d, picture
    elif abs(b) == 1 and abs(c) == 1 and a == d == 0:
        # The source's rows become columns: its x axis points along ±y of the picture, its y axis along ±x.
        right, down, turned = c, b, np.asarray(cv2.transpose(picture), dtype=np.uint8)
    else:
        return picture
    if right < 0:
        turned = turned[:, ::-1]
    if down < 0:
        turned = turned[::-1]
    return np.ascontiguousarray(turned)
