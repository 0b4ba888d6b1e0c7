"""Reads pictures as uint8 BGR (H, W, 3) and writes them whole or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError
from segrt.runtime.files.atomic import write_atomic
from segrt.runtime.files.picture_size import jpeg_scans, picture_size
from segrt.runtime.files.reading import exists, is_folder, is_regular, read_bytes
from segrt.runtime.files.truncation import is_truncated

Picture = npt.NDArray[np.uint8]
"""A picture: uint8 BGR (H, W, 3)."""

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MOST_PIXELS = 160_000_000
"""The largest picture that is decoded: 480 MB as BGR; the largest medium format cameras have 150 megapixels."""

_SILENT = 0
_MOST_BYTES = 1 << 30
_MOST_SCANS = 100  # of a progressive JPEG; encoders make about ten
_MOST_SCANNED = 4_000_000_000  # pixels times scans: some ten seconds
_REMEDY = "give a JPEG, PNG, WebP, TIFF or BMP picture"


def read_image(path: str | Path) -> npt.NDArray[np.uint8]:
    """Return the picture at `path` as uint8 BGR (H, W, 3), turned upright by its EXIF orientation.

    Grey pictures get three equal channels, 16-bit ones keep their upper 8 bits, an alpha channel is left out, CMYK is
    converted. Raises ImageError for a missing, truncated or empty file and for one that is no picture.
    """
    path = Path(path)
    return decode_image(read_picture_file(path), str(path))


def read_picture_file(path: Path) -> bytes:
    """Return the bytes of the file at `path`; raise ImageError for a missing or huge one, and for what is no file."""
    try:
        return read_bytes(path, _MOST_BYTES)
    except OSError as error:
        if exists(path) and not is_regular(path):
            kind = "a folder" if is_folder(path) else "a device or pipe"
            raise ImageError(f"{path}: is {kind}, not a picture; {_REMEDY}") from None
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None


def decode_image(data: bytes, where: str) -> npt.NDArray[np.uint8]:
    """Return the picture in `data`, an encoded file, as `read_image` does; `where` names it in errors."""
    if not data:
        raise ImageError(f"{where}: is empty; {_REMEDY}")
    if is_truncated(data):
        raise ImageError(f"{where}: is cut off; copy the picture again")
    check_picture(data, where)
    cv2 = quiet_cv2()
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"{where}: cannot be decoded ({_reason(error)}); {_REMEDY}") from None
    if image is None or image.size == 0:
        raise ImageError(f"{where}: is no picture that can be decoded, or a damaged or empty one; {_REMEDY}")
    return np.ascontiguousarray(image)


def check_picture(data: bytes, where: str) -> None:
    """Raise ImageError when the encoded picture `data` is of no format that is read, or would decode to too much."""
    size = picture_size(data)
    if size is None or 0 in size:
        raise ImageError(f"{where}: is no picture that can be decoded, or a damaged or empty one; {_REMEDY}")
    height, width = size
    if height * width > MOST_PIXELS:
        raise ImageError(
            f"{where}: is {width} pixels wide and {height} high, more than {MOST_PIXELS:,}; make it smaller"
        )
    scans = jpeg_scans(data)
    if scans > _MOST_SCANS or scans * height * width > _MOST_SCANNED:
        raise ImageError(f"{where}: is a JPEG of {scans} scans, which would take too long; write it again")


def encode_image(image: npt.NDArray[Any], suffix: str) -> bytes:
    """Return `image`, uint8 grey (H, W), BGR (H, W, 3) or BGRA, encoded by file `suffix` (".png", ".jpg")."""
    cv2 = quiet_cv2()
    try:
        done, data = cv2.imencode(suffix, image)
    except cv2.error as error:
        raise ImageError(
            f"{suffix or 'a file without suffix'} cannot be encoded ({_reason(error)}); use .png"
        ) from None
    if not done:
        raise ImageError(f"a picture of shape {image.shape} cannot be encoded as {suffix}; use .png")
    return bytes(data)


def write_image(path: str | Path, image: npt.NDArray[Any]) -> None:
    """Write `image`, uint8 BGR (H, W, 3) or grey (H, W), to `path` in the format of its suffix, whole or not at all."""
    path = Path(path)
    check_suffix(path)
    write_atomic(path, encode_image(image, path.suffix.lower()))


def check_suffix(path: Path) -> None:
    """Raise ImageError unless a picture can be written under the name `path`."""
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path}: has no suffix of a picture; use .png or .jpg")


def quiet_cv2() -> Any:
    """Return cv2 with its log silenced: what goes wrong is said in one line here, not by libraries on stderr."""
    import cv2

    set_level: Any = getattr(cv2, "setLogLevel", None)  # OpenCV 5 has it in cv2.utils.logging alone
    (set_level or cv2.utils.logging.setLogLevel)(_SILENT)
    return cv2


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "err", "") or error).split())[:200]
