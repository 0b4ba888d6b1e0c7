"""Reads parts of a TIFF that is too large to be read as a whole: what a window needs of its tiles or strips."""

import mmap
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError, one_line
from segrt.runtime.files.images import MOST_PIXELS
from segrt.runtime.files.picture_size import picture_size
from segrt.runtime.files.reading import open_regular

SUFFIXES = frozenset({".tif", ".tiff"})
_MOST_BYTES = 1 << 30  # of a file that is read as a whole
_KEPT_BYTES = 128 << 20  # decoded tiles or strips: those of a row of windows, so that none is decoded twice
_LARGEST_PART = 64 << 20
_MOST_PIXELS_EVER = 1 << 31  # of masks and maps in the core
_MOST_SIDE_EVER = 1 << 20  # of those, too
_NO_PICTURE = 0b101  # of a page's NewSubfileType: a smaller copy, a mask
_ORIENTATION = 274
_GREY, _WHITE_IS_ZERO, _COLORS, _YCBCR = 1, 0, 2, 6
_JPEG = (6, 7)
_WRITE_AGAIN = "write it in tiles: gdal_translate -co TILED=YES IN OUT, or vips tiffsave IN OUT --tile"


class TiffWindows:
    """The first page of a TIFF; `windows[top:bottom, left:right]` reads that part, uint8, uint16 or float (h, w, C).

    `shape` is (H, W, C), colours red first; `pages` counts the file's pages but for smaller copies and masks. Decoded
    parts of the file are kept as far as they are few. Raises ImageError for files of other kinds, damaged ones, and
    those whose parts are too large to be decoded by themselves.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            import tifffile  # type: ignore[import-not-found,unused-ignore]  # optional
        except ImportError:
            raise ImageError(
                f"{path}: is too large to be read as a whole; `pip install 'segrt[tiff]'` reads it by windows"
            ) from None
        self._file = open_regular(path)
        weakref.finalize(self, self._file.close).atexit = False
        try:
            pages: Any = tifffile.TiffFile(self._file, name=path.name).pages
            self._page: Any = pages[0]
            self._decode = self._page.decode
            self.pages = 1 + sum(not int(other.subfiletype) & _NO_PICTURE for other in pages[1:])
        except Exception as error:  # tifffile raises whatever it meets
            raise self._undecodable(error) from None
        page: Any = self._page
        self.dtype = np.dtype(page.dtype)
        self.shape = (int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel))
        tiled = bool(page.is_tiled)
        self._part = (
            int(page.tilelength if tiled else min(page.rowsperstrip, self.shape[0])),
            int(page.tilewidth if tiled else self.shape[1]),
        )
        if min(*self.shape, *self._part) < 1:
            raise self._undecodable(ValueError(f"of {self.shape} in parts of {self._part}"))
        self._refuse_others()
        self._across = -(-self.shape[1] // self._part[1])
        self._kept: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()

    def __getitem__(self, window: tuple[slice, slice]) -> npt.NDArray[Any]:
        """Return the pixels of rows and columns, slices within the picture."""
        (top, bottom), (left, right) = ((part.start, part.stop) for part in window)
        high, wide = self._part
        out = np.zeros((bottom - top, right - left, self.shape[2]), self.dtype)
        for row in range(top // high, -(-bottom // high)):
            for column in range(left // wide, -(-right // wide)):
                part = self._decoded(row * self._across + column)
                y, x = row * high, column * wide
                y0, y1, x0, x1 = max(top, y), min(bottom, y + len(part)), max(left, x), min(right, x + part.shape[1])
                out[y0 - top : y1 - top, x0 - left : x1 - left] = part[y0 - y : y1 - y, x0 - x : x1 - x]
        return (np.iinfo(self.dtype).max - out) if self._page.photometric == _WHITE_IS_ZERO else out

    def _decoded(self, index: int) -> npt.NDArray[Any]:
        """Return a tile or strip, (h, w, C); zeros where the file has none."""
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        try:
            self._file.seek(self._page.dataoffsets[index])
            data = self._file.read(self._page.databytecounts[index])
            tables = {"jpegtables": self._page.jpegtables} if self._page.jpegtables is not None else {}
            decoded = self._decode(data or None, index, **tables)[0]
        except Exception as error:  # tifffile raises whatever it meets
            raise self._undecodable(error) from None
        part = np.zeros((*self._part, self.shape[2]), self.dtype) if decoded is None else decoded[0]
        self._kept[index] = part
        while sum(kept.nbytes for kept in self._kept.values()) > _KEPT_BYTES and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return part

    def _refuse_others(self) -> None:
        """Raise ImageError for a page whose windows would not be what `read_image` gives, or cannot be had."""
        page, path = self._page, self._path
        height, width = self.shape[:2]
        if height * width >= _MOST_PIXELS_EVER:
            raise ImageError(f"{path}: is {width} wide and {height} high, {_MOST_PIXELS_EVER:,} pixels or more; cut it")
        if max(height, width) > _MOST_SIDE_EVER:
            raise ImageError(
                f"{path}: is {width} wide and {height} high, more than {_MOST_SIDE_EVER:,} on a side; cut it"
            )
        orientation = page.tags.get(_ORIENTATION)
        known = page.photometric in (_GREY, _WHITE_IS_ZERO, _COLORS)
        if not known and not (page.photometric == _YCBCR and page.compression in _JPEG):
            raise ImageError(
                f"{path}: is of kind {getattr(page.photometric, 'name', page.photometric)}, too large to be converted; "
                "write it as RGB or grey"
            )
        if orientation is not None and orientation.value != 1:
            raise ImageError(f"{path}: is to be turned (orientation {orientation.value}); write it upright")
        if self.shape[2] > 1 and page.planarconfig != 1:
            raise ImageError(f"{path}: has its channels one after the other; write it with pixels interleaved")
        if page.photometric == _WHITE_IS_ZERO and self.dtype.kind == "f":
            raise ImageError(f"{path}: is of floats whose 0 is white; write it with 0 as black")
        if self.dtype not in (np.uint8, np.uint16, np.float32) or page.bitspersample not in (8, 16, 32):
            raise ImageError(f"{path}: has values of type {self.dtype}; write it with uint8, uint16 or float32")
        values = self._part[0] * self._part[1] * self.shape[2] * self.dtype.itemsize
        if values > _LARGEST_PART:
            raise ImageError(
                f"{path}: is stored in parts of {self._part[0]} x {self._part[1]} pixels, too large to be read by "
                f"windows; {_WRITE_AGAIN}"
            )

    def _undecodable(self, error: Exception) -> ImageError:
        remedy = "`pip install imagecodecs` decodes more kinds" if "imagecodecs" in str(error) else "write it again"
        return ImageError(f"{self._path}: cannot be decoded ({one_line(error, 160)}); {remedy}")


def needs_windows(path: Path) -> bool:
    """Whether `path` is a TIFF that is too large to be read as a whole."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            size = picture_size(cast("bytes", data))  # of which a map is as good
            return size is not None and (size[0] * size[1] > MOST_PIXELS or len(data) > _MOST_BYTES)
    except (OSError, ValueError):  # missing or empty: whoever reads it says so
        return False
