"""Launches of the kernels in cpp_postproc/cuda/video.cu: decoded video to BGR, and samples of a picture."""

import ctypes
from dataclasses import dataclass
from typing import Any

from segrt.runtime.inference.cuda.interface import Shape
from segrt.runtime.inference.cuda.launching import tiles

_BLOCK: Shape = (32, 8, 1)
# FFmpeg's numbers of colour spaces → V to red, U to blue, U and V to green, in 1/65536, of full range:
# `ff_yuv2rgb_coeffs` of libswscale/yuv2rgb.c. Unspecified ones are BT.601 there, too.
_BT601 = (104597, 132201, 25675, 53279)
_COEFFICIENTS = {
    1: (117489, 138438, 13975, 34925),  # BT.709
    2: _BT601,  # unspecified
    0: _BT601,
    4: (104448, 132798, 24759, 53109),  # FCC
    5: _BT601,
    6: _BT601,
    7: (117579, 136230, 16907, 35559),  # SMPTE 240M
    9: (110013, 140363, 12277, 42626),  # BT.2020, non-constant luminance
}
COLOR_SPACES = frozenset(_COEFFICIENTS)
"""FFmpeg's numbers of the colour spaces that can be converted."""


class Nv12(ctypes.Structure):
    """`Nv12` of cpp_postproc/cuda/video.cu: where a decoded picture lies; pitches in bytes, even sides."""

    _fields_ = (
        ("luma", ctypes.c_void_p),
        ("chroma", ctypes.c_void_p),
        ("luma_pitch", ctypes.c_int32),
        ("chroma_pitch", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
    )


class YuvMatrix(ctypes.Structure):
    """`YuvMatrix` of cpp_postproc/cuda/video.cu."""

    _fields_ = tuple(
        (name, ctypes.c_int32) for name in ("luma_offset", "luma", "red_v", "green_u", "green_v", "blue_u")
    )


@dataclass(frozen=True)
class VideoLaunch:
    """One launch of a kernel: grid, block and parameters."""

    grid: Shape
    block: Shape
    parameters: tuple[Any, ...]


def yuv_matrix(color_space: int, *, full_range: bool) -> YuvMatrix:
    """Return how swscale makes RGB of a colour space of `COLOR_SPACES`: `ff_yuv2rgb_c_init_tables` of yuv2rgb.c."""
    red_v, blue_u, green_u, green_v = _COEFFICIENTS[color_space]
    luma, offset = 1 << 16, 0
    if full_range:
        red_v, blue_u, green_u, green_v = (value * 224 // 255 for value in (red_v, blue_u, green_u, green_v))
    else:
        luma, offset = luma * 255 // 219, 16 << 16
    return YuvMatrix(_rounded(offset << 3), *(_rounded(v << 13) for v in (luma, red_v, -green_u, -green_v, blue_u)))


def bgr_launch(picture: Nv12, matrix: YuvMatrix, address: int) -> VideoLaunch:
    """Return the launch that writes `picture` as uint8 BGR (height, width, 3) to `address`."""
    return VideoLaunch(
        tiles(picture.width, picture.height, 64, 16), _BLOCK, (picture, matrix, ctypes.c_void_p(address))
    )


def sample_launch(
    address: int, width: int, steps: tuple[int, int], samples: int, shape: tuple[int, ...]
) -> VideoLaunch:
    """Return the launch that writes each `steps`-th pixel of a BGR picture of `width` columns to `samples`."""
    rows, columns = shape[:2]
    numbers = (ctypes.c_int32(value) for value in (width, *steps))
    parameters = (
        ctypes.c_void_p(address),
        *numbers,
        ctypes.c_void_p(samples),
        ctypes.c_int32(rows),
        ctypes.c_int32(columns),
    )
    return VideoLaunch(tiles(columns, rows, 32, 8), _BLOCK, parameters)


def _rounded(value: int) -> int:
    """Return the upper 16 bits, rounded and bounded as swscale's `roundToInt16`."""
    return max(-32768, min(32767, (value + (1 << 15)) >> 16))
