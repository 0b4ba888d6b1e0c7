"""Tells whether an encoded picture ends before its end: decoders fill up a cut-off one with grey and say nothing."""

import re
import struct

# A marker that is neither a stuffed byte, nor a restart, nor a fill byte.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SOI, _EOI, _TEM = 0xD8, 0xD9, 0x01


def is_truncated(data: bytes) -> bool:
    """Whether `data` is a JPEG, PNG, WebP or BMP file that lacks its end; False for every other format."""
    if data.startswith(b"\xff\xd8\xff"):
        return not _jpeg_ends(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return not _png_ends(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) < 8 + int(struct.unpack_from("<I", data, 4)[0])
    if data.startswith(b"BM") and len(data) >= 14:
        return len(data) < int(struct.unpack_from("<I", data, 2)[0])
    return False


def _jpeg_ends(data: bytes) -> bool:
    """Walk the segments; an end marker inside one (a thumbnail's) does not count."""
    position = 2
    while match := _JPEG_MARKER.search(data, position):
        marker, position = data[match.start() + 1], match.end()
        if marker == _EOI:
            return True
        if marker in (_SOI, _TEM):
            continue
        if position + 2 > len(data):
            return False
        position += int(struct.unpack_from(">H", data, position)[0])
    return False


def _png_ends(data: bytes) -> bool:
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + int(length)
        if kind == b"IEND":
            return position <= len(data)
    return False
