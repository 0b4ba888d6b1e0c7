"""Reads arrays from files with their values as they stand: .npy, TIFF of one or many bands, PNG of 8 or 16 bits."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError, one_line
from segrt.runtime.files.images import MOST_PIXELS, check_picture, quiet_cv2, read_picture_file
from segrt.runtime.files.npz_files import NpzError, read_npy
from segrt.runtime.files.picture_size import tiff_pages
from segrt.runtime.files.truncation import is_truncated

ARRAYS = frozenset({".npy"})
_COLORS = 3


def read_raster(path: Path) -> npt.NDArray[Any]:
    """Return the array in a file, (H, W) or (H, W, C): uint8, uint16 or float, colours red first, bands in their order.

    The pages of a TIFF are bands where it has several, which must be of one size and type. Raises ImageError.
    """
    data = read_picture_file(path)
    if path.suffix.lower() in ARRAYS:
        array = _npy(data, path)
    else:
        if is_truncated(data):
            raise ImageError(f"{path}: is cut off; copy the picture again")
        check_picture(data, str(path))
        pages = tiff_pages(data)
        if sum(height * width * samples for height, width, samples in pages) > MOST_PIXELS:
            raise ImageError(f"{path}: has more than {MOST_PIXELS:,} values in its {len(pages)} pages; make it smaller")
        array = _tiff(data, path, pages[0][2]) if pages else _unchanged(data, path)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype not in (np.uint8, np.uint16, *_FLOATS):
        raise ImageError(
            f"{path}: must hold uint8, uint16 or floats (H, W) or (H, W, C), but has {array.dtype} {list(array.shape)}"
        )
    return array


_FLOATS = (np.float16, np.float32, np.float64)


def _npy(data: bytes, path: Path) -> npt.NDArray[Any]:
    try:
        return read_npy(data, len(data))
    except NpzError as error:
        raise ImageError(f"{path}: is no array ({error}); write it with numpy.save") from None


def _unchanged(data: bytes, path: Path) -> npt.NDArray[Any]:
    cv2 = quiet_cv2()
    try:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{path}: cannot be decoded ({one_line(error, 160)}); give a PNG, TIFF or .npy file") from None
    if array is None:
        raise ImageError(f"{path}: is no picture that can be decoded; give a PNG, TIFF or .npy file")
    return _red_first(array)


def _tiff(data: bytes, path: Path, samples: int) -> npt.NDArray[Any]:
    """Read a TIFF: OpenCV takes pages of one band or of colours; of others it makes grey without a word."""
    if samples not in (1, _COLORS):
        return _by_tifffile(data, path, samples)
    cv2 = quiet_cv2()
    try:
        done, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{path}: cannot be decoded ({one_line(error, 160)}); write it again, or as .npy") from None
    if not done or not pages:
        raise ImageError(f"{path}: is a TIFF that cannot be decoded; write it again, or as .npy")
    if len(pages) == 1:
        return _red_first(pages[0])
    if len({(page.shape, page.dtype.str) for page in pages}) > 1 or pages[0].ndim != 2:
        raise ImageError(
            f"{path}: its {len(pages)} pages must be bands of one size and type; write it again, or as .npy"
        )
    return np.stack(pages, axis=2)


def _by_tifffile(data: bytes, path: Path, samples: int) -> npt.NDArray[Any]:
    """Read a TIFF with several bands in a page."""
    try:
        import tifffile  # type: ignore[import-not-found,unused-ignore]  # optional
    except ImportError:
        raise ImageError(
            f"{path}: has {samples} bands in a page; `pip install 'segrt[tiff]'` reads it, or write it as .npy or with "
            "a page a band"
        ) from None
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            array: npt.NDArray[Any] = page.asarray()
            axes = str(page.axes)
    except Exception as error:  # tifffile raises whatever it meets
        raise ImageError(f"{path}: cannot be decoded ({one_line(error, 160)}); write it again, or as .npy") from None
    return np.ascontiguousarray(np.moveaxis(array, 0, 2)) if axes.startswith("S") else array


def _red_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return OpenCV's colours, blue first, in the order of files."""
    if array.ndim == 2:
        return array
    return np.ascontiguousarray(np.concatenate([array[..., 2::-1], array[..., 3:]], axis=2))
