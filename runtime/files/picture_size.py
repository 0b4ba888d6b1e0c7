"""Reads how large a picture is from its header, before anything is allocated for it.

Where a file states a size more than once, the largest counts: decoders differ in which one they take.
"""

import re
import struct
from collections.abc import Callable, Iterator

Size = tuple[int, int]
"""(height, width) in pixels."""

_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_SAMPLES = 256, 257, 277
_TIFF = re.compile(rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]")
_TIFF_TYPES = {1: (1, "B"), 3: (2, "H"), 4: (4, "I"), 16: (8, "Q")}
_MOST_TAGS = 4096
_MOST_PAGES = 4096
_JPEG_SOI = b"\xff\xd8\xff"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _ALONE = 0xDA, 0xD9, frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PNM = re.compile(rb"P[1-6](?:\s+|#[^\n]*\n)+([0-9]{1,10})(?:\s+|#[^\n]*\n)+([0-9]{1,10})\s")


def picture_size(data: bytes) -> Size | None:
    """Return the (height, width) that the encoded picture `data` states.

    None for a format other than JPEG, PNG, WebP, TIFF, BMP, JPEG 2000 and PNM, or a header that is not whole.
    """
    for mark, read in _READERS:
        if mark.match(data):
            try:
                sizes = list(read(data))
            except struct.error:  # cut off
                return None
            return (max(h for h, _ in sizes), max(w for _, w in sizes)) if sizes else None
    return None


def jpeg_scans(data: bytes) -> int:
    """Return how many passes over a JPEG's pixels its decoder makes, 0 for another format.

    A progressive JPEG may hold thousands in a few kilobytes.
    """
    return sum(1 for marker, _ in _jpeg_segments(data) if marker == _SCAN) if data.startswith(_JPEG_SOI) else 0


def tiff_pages(data: bytes) -> list[tuple[int, int, int]]:
    """Return (height, width, values a pixel) of the pages of a TIFF; none for what is no TIFF, damaged or endless."""
    if not _TIFF.match(data):
        return []
    pages: list[tuple[int, int, int]] = []
    try:
        place, seen = _tiff_first(data), set[int]()
        while place:
            if place in seen or len(pages) > _MOST_PAGES:
                return []
            seen.add(place)
            found, place = _tiff_page(data, place)
            pages.append((found[_TIFF_HEIGHT], found[_TIFF_WIDTH], max(found[_TIFF_SAMPLES], 1)))
    except struct.error:
        return []
    return pages


def _png(data: bytes) -> Iterator[Size]:
    width, height = struct.unpack_from(">II", data, 16)
    yield height, width


def _jpeg(data: bytes) -> Iterator[Size]:
    for marker, position in _jpeg_segments(data):
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 3)
            yield height, width


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker up to the end of the picture with the position behind it."""
    position = 2
    while match := _JPEG_MARKER.search(data, position):
        marker, position = data[match.start() + 1], match.end()
        if marker == _END:
            return
        if marker in _ALONE or position + 2 > len(data):
            continue
        yield marker, position
        if marker != _SCAN:
            position += int(struct.unpack_from(">H", data, position)[0])


def _webp(data: bytes) -> Iterator[Size]:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        yield height, width
    elif kind == b"VP8L":
        bits = int(struct.unpack_from("<I", data, 21)[0])
        yield (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        yield height & 0x3FFF, width & 0x3FFF


def _bmp(data: bytes) -> Iterator[Size]:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    yield abs(height), abs(width)


def _tiff(data: bytes) -> Iterator[Size]:
    found, _ = _tiff_page(data, _tiff_first(data), chained=False)
    yield found[_TIFF_HEIGHT], found[_TIFF_WIDTH]


def _tiff_layout(data: bytes) -> tuple[str, bool]:
    """Return the byte order, and whether it is a BigTIFF."""
    order = "<" if data[:2] == b"II" else ">"
    return order, struct.unpack_from(order + "H", data, 2)[0] == 43


def _tiff_first(data: bytes) -> int:
    """Return where the first page is described."""
    order, big = _tiff_layout(data)
    return int(struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0])


def _tiff_page(data: bytes, place: int, *, chained: bool = True) -> tuple[dict[int, int], int]:
    """Return the largest value of each known tag of the page at `place`, and where the next one is described."""
    order, big = _tiff_layout(data)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
    place += 8 if big else 2
    step, field = (20, 12) if big else (12, 8)
    found = {_TIFF_WIDTH: 0, _TIFF_HEIGHT: 0, _TIFF_SAMPLES: 0}
    for entry in range(place, place + min(count, _MOST_TAGS) * step, step):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in found and kind in _TIFF_TYPES:
            value = struct.unpack_from(order + _TIFF_TYPES[kind][1], data, entry + field)[0]
            found[tag] = max(found[tag], int(value))
    if not chained:
        return found, 0
    (following,) = struct.unpack_from(order + ("Q" if big else "I"), data, place + count * step)
    return found, int(following)


def _jpeg_2000(data: bytes) -> Iterator[Size]:
    box = data.find(b"ihdr")
    if box >= 0:
        height, width = struct.unpack_from(">II", data, box + 4)
        yield height, width
    stream = data.find(b"\xff\x4f\xff\x51")
    if stream >= 0:
        width, height = struct.unpack_from(">II", data, stream + 8)
        yield height, width


def _pnm(data: bytes) -> Iterator[Size]:
    match = _PNM.match(data[: 1 << 16])
    if match:
        yield int(match[2]), int(match[1])


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Iterator[Size]]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"BM"), _bmp),
    (_TIFF, _tiff),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), _jpeg_2000),
    (re.compile(rb"P[1-6]"), _pnm),
)
