"""Reads NPZ files of known arrays: nothing is unpacked that is not asked for or larger than allowed."""

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import one_line

_MOST_ENTRIES = 256
_MOST_HEADER = 4096
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_KINDS = "biuf"
_LARGEST_ITEM = 8
_FAILURES = (
    ValueError, TypeError, LookupError, OverflowError, SyntaxError, RuntimeError, EOFError, OSError, MemoryError,
    struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


class NpzError(ValueError):
    """The file is no NPZ, or an array in it is not what it must be; one line says why."""


def read_npz(data: bytes, allowed: Mapping[str, int]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in the NPZ file `data` that are among `allowed`, which gives the most bytes of each.

    Arrays of numbers or booleans alone; others are not looked at. Raises NpzError before anything is allocated for one
    that is too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise ValueError(f"it holds {len(entries)} arrays, at most {_MOST_ENTRIES} are read")
            arrays = {}
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                if name not in allowed:
                    continue
                if name in arrays:
                    raise ValueError(f"array {name!r} is in it twice")
                if entry.compress_type not in _METHODS:
                    raise ValueError(f"array {name!r} is compressed in a way that is not read")
                with archive.open(entry) as file:
                    arrays[name] = _read_array(file, name, allowed[name])
            return arrays
    except _FAILURES as error:
        raise NpzError(one_line(error)) from None


def read_npy(data: bytes, most: int) -> npt.NDArray[Any]:
    """Return the array of numbers in the NPY file `data`, of at most `most` bytes; raise NpzError if it is none."""
    try:
        return _read_array(io.BytesIO(data), "in it", most)
    except _FAILURES as error:
        raise NpzError(one_line(error)) from None


def pack_npy(array: npt.NDArray[Any]) -> bytes:
    """Return `array` as the bytes of an NPY file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _read_array(file: IO[bytes], name: str, most: int) -> npt.NDArray[Any]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array {name!r} has format {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(file, max_header_size=_MOST_HEADER)
    if dtype.kind not in _KINDS or dtype.itemsize > _LARGEST_ITEM:
        raise ValueError(f"array {name!r} holds {dtype}, not numbers")
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > most:
        raise ValueError(f"array {name!r} has shape {list(shape)}, {size} bytes, but at most {most} fit the manifest")
    content = file.read(size)
    if len(content) < size:
        raise ValueError(f"array {name!r} is cut off")
    if file.read(1):  # also has the CRC checked
        raise ValueError(f"array {name!r} has bytes behind its end")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)
