"""How a picture of one size is brought to an input: the kernel, its tables, and its parameters."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrt.runtime.inference.cuda.interface import Shape
from segrt.runtime.inference.cuda.launching import axis_map, tiles
from segrt.runtime.preprocess.cuda.axis_tables import Table, filter_taps, fixed_taps, nearest_pixels
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec

BLOCK: Shape = (32, 8, 1)
_MOST_USED = 0.8  # of a picture's rows, that a list of them is worth
_NUMBERS = {"float32": "float", "float16": "half", "uint8": "byte"}


class Placement(ctypes.Structure):
    """`Placement` of cpp_postproc/cuda/picture.h."""

    _fields_ = tuple(
        (name, ctypes.c_int32) for name in ("height", "width", "top", "left", "inner_height", "inner_width")
    )


class PictureInput(ctypes.Structure):
    """`PictureInput` of cpp_postproc/cuda/picture.h."""

    _fields_ = (
        ("target", ctypes.c_void_p),
        ("placement", Placement),
        ("channel_stride", ctypes.c_int32),
        ("row_stride", ctypes.c_int32),
        ("pixel_stride", ctypes.c_int32),
        ("swap_rb", ctypes.c_int32),
        ("factor", ctypes.c_float * 3),
        ("offset", ctypes.c_float * 3),
        ("padding", ctypes.c_uint32 * 3),
    )


class Pixels(ctypes.Structure):
    """`Pixels` of cpp_postproc/cuda/picture.h."""

    _fields_ = (("data", ctypes.c_void_p), ("height", ctypes.c_int32), ("width", ctypes.c_int32))


class Filter(ctypes.Structure):
    """`Filter` of cpp_postproc/cuda/antialias.cu."""

    _fields_ = (
        ("first", ctypes.c_void_p),
        ("count", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("targets", ctypes.c_int32),
        ("unused", ctypes.c_int32),
    )


@dataclass(frozen=True)
class PictureKernel:
    """One launch for pictures of one size: `tables` are uploaded behind the picture, rows' before columns'.

    `used_rows` int32 (n,) are those of the picture that it reads, counted from 0 in `tables`; None for all.
    """

    file: str
    name: str
    grid: Shape
    tables: tuple[Table, ...]
    geometry: Geometry
    used_rows: Table | None = None

    @property
    def stored_size(self) -> tuple[int, int]:
        """Rows and columns of what is uploaded."""
        height, width = self.geometry.source_size
        return (height if self.used_rows is None else len(self.used_rows)), width

    def axes(self, tables: Sequence[int]) -> list[Any]:
        """Return the kernel's last two parameters, rows and columns, where the tables lie at these addresses."""
        height, width = inner_size(self.geometry)
        if not self.tables:
            source_height, source_width = self.geometry.source_size
            return [
                axis_map(source_height, (0, source_height), height),
                axis_map(source_width, (0, source_width), width),
            ]
        if self.file != "antialias":
            return [ctypes.c_void_p(address) for address in tables]
        return [
            Filter(address, address + 4 * length, address + 8 * length, length, 0)
            for address, length in zip(tables, (height, width), strict=True)
        ]


def why_not_on_gpu(spec: InputSpec) -> str | None:
    """Return why pictures for an input are prepared on the CPU, or None where the GPU gives the same bits."""
    if spec.color not in ("rgb", "bgr") or not spec.takes_pictures:
        return f"input {spec.name!r} takes {spec.color} of {spec.value_dtype}, which the CPU prepares"
    if spec.resize.interpolation in ("cubic", "area", "skimage") and not spec.resize.antialias:
        whose = "scikit-image" if spec.resize.interpolation == "skimage" else f"OpenCV's {spec.resize.interpolation}"
        return f"input {spec.name!r} is resized by {whose}, which the CPU does"
    if not np.isfinite(_normalization(spec)).all():
        return f"input {spec.name!r} has a scale, mean or std beyond float32, which the CPU applies"
    return None


def picture_kernel(spec: InputSpec, geometry: Geometry, *, whole: bool = False) -> PictureKernel:
    """Return the launch that does what `picture._fill_image` does on the CPU.

    With `whole` it reads the picture as it is, for it lies on the GPU already, and not the rows that were chosen of it.
    """
    (height, width), (source_height, source_width) = inner_size(geometry), geometry.source_size
    number, resize = _NUMBERS[spec.dtype], spec.resize
    rows, columns = spec.size
    grid = tiles(columns, rows, 32, 8)
    if (height, width) == (source_height, source_width) or resize.interpolation == "nearest":
        rows_table = nearest_pixels(source_height, height)
        used, table = (None, rows_table) if whole else stored_rows(rows_table, 1)
        tables = table, nearest_pixels(source_width, width)
        return PictureKernel("preprocess", f"picture_nearest_{number}", grid, tables, geometry, used)
    if resize.antialias:
        cubic = resize.interpolation == "cubic"
        filters = tuple(
            filter_taps(source, target, cubic=cubic)
            for source, target in ((source_height, height), (source_width, width))
        )
        return PictureKernel("antialias", f"picture_filter_{number}", tiles(columns, rows, 32, 16), filters, geometry)
    if number == "byte":
        rows_table = fixed_taps(source_height, height)
        used, table = (None, rows_table) if whole else stored_rows(rows_table, 2)
        tables = table, fixed_taps(source_width, width)
        return PictureKernel("preprocess", "picture_fixed_byte", grid, tables, geometry, used)
    return PictureKernel("preprocess", f"picture_linear_{number}", grid, (), geometry)


def stored_rows(table: Table, pixels: int) -> tuple[Table | None, Table]:
    """Return the source rows that a table of rows names in its first `pixels` columns, and the table by their numbers.

    A picture that becomes much smaller is read in few of its rows: the others need not be uploaded. None, and the table
    as it is, where that spares little.
    """
    numbers = table if pixels == 1 else table[:, :pixels]
    used, places = np.unique(numbers, return_inverse=True)
    if len(used) > _MOST_USED * (used[-1] + 1):
        return None, table
    renumbered = table.copy()
    (renumbered if pixels == 1 else renumbered[:, :pixels])[...] = places.reshape(numbers.shape)
    return used.astype(np.int32), renumbered


def picture_input(spec: InputSpec, geometry: Geometry, address: int) -> PictureInput:
    """Return how a place of the batch at `address` is written."""
    height, width = spec.size
    strides = (1, 3 * width, 3) if spec.layout == "NHWC" else (height * width, width, 1)
    factor, offset = _normalization(spec)
    return PictureInput(
        address,
        placement(geometry),
        *strides,
        spec.color == "rgb",
        (ctypes.c_float * 3)(*factor),
        (ctypes.c_float * 3)(*offset),
        (ctypes.c_uint32 * 3)(*_padding(spec)),
    )


def placement(geometry: Geometry) -> Placement:
    """Return where the picture lies in the input."""
    top, left = (int(edge) for edge in geometry.window[:2])
    return Placement(*geometry.network_size, top, left, *inner_size(geometry))


def inner_size(geometry: Geometry) -> tuple[int, int]:
    """Return the size (h, w) at which the picture is shown."""
    top, left, bottom, right = (int(edge) for edge in geometry.window)
    return bottom - top, right - left


def _normalization(spec: InputSpec) -> Any:
    """Return factor and offset of each channel, (2, 3) float32, as `resize_normalize` has them."""
    with np.errstate(over="ignore"):
        means, stds = np.array(spec.mean, np.float64), np.array(spec.std, np.float64)
        return np.array([spec.scale / stds, -means / stds]).astype(np.float32)


def _padding(spec: InputSpec) -> list[int]:
    """Return the bits of the padding's values in each channel."""
    pad = np.array(spec.resize.pad, np.float64)
    if spec.dtype != "uint8":
        with np.errstate(over="ignore"):
            pad = (pad * spec.scale - spec.mean) / spec.std
    values = pad.astype(spec.dtype)
    return [int(bits) for bits in values.view(f"u{values.itemsize}")]
