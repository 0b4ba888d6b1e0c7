"""Does a video file hold as many bytes as it says? A demuxer reads a cut-off file to its end without a word.

The outermost structure of the common containers states lengths: boxes in MP4 and MOV (ISO/IEC 14496-12, 4.2), chunks
in AVI (RIFF), the Segment element in Matroska and WebM (RFC 8794, 9.4 and RFC 9559). Only those few bytes are read.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_BOXES = (b"ftyp", b"moov", b"mdat", b"moof", b"free", b"wide", b"styp", b"pnot", b"skip")


def missing_bytes(path: Path) -> int:
    """Return how many bytes the file lacks by its own account; 0 when it is whole or its format does not say."""
    with path.open("rb") as file:
        return missing_bytes_of(file, path.stat().st_size)


def missing_bytes_of(file: BinaryIO, size: int) -> int:
    """Do as `missing_bytes` for an open file of `size` bytes, wherever it lies."""
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    if head[4:8] in _BOXES:
        end = _end_of_boxes(file, size)
    elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        end = _end_of_chunks(file, size)
    elif head[:4] == _EBML:
        end = _end_of_segment(file, size)
    else:
        end = size
    return max(0, end - size)


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return position + 8
        length = int(struct.unpack(">I", head[:4])[0])
        if length == 0:  # to the end of the file
            return size
        if length == 1:
            if len(head) < 16:
                return position + 16
            length = int(struct.unpack(">Q", head[8:16])[0])
        if length < 8:  # not a box: trailing bytes of another kind, which say nothing about the length
            return size
        position += length
    return position


def _end_of_chunks(file: BinaryIO, size: int) -> int:
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(8)
        if head[:4] != b"RIFF":  # trailing bytes of another kind
            return size
        if len(head) < 8:
            return position + 8
        position += 8 + int(struct.unpack("<I", head[4:8])[0])
    return position


def _end_of_segment(file: BinaryIO, size: int) -> int:
    file.seek(4)
    header = _vint(file)
    if header is None:
        return size
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return size
    length = _vint(file)
    return size if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """Read a variable-length integer; None when it says "unknown" or is none."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    extra = 8 - first[0].bit_length()
    value = first[0] & ((1 << (7 - extra)) - 1)
    rest = file.read(extra)
    if len(rest) < extra:
        return None
    value = int.from_bytes(bytes([value]) + rest, "big")
    return None if value == (1 << (7 * (extra + 1))) - 1 else value
