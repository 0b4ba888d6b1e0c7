"""Walks the wire format of protobuf (https://protobuf.dev/programming-guides/encoding): ONNX without its package.

What we read must be what a full reader reads, so only the form that writers give is accepted. Where a text can be
taken in two ways readers differ: protobuf's own cuts a key off at 32 bits, and so meets fields that a reader of whole
numbers does not know.
"""

import mmap
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LAST_NUMBER = (1 << 29) - 1
_LAST_LENGTH = (1 << 31) - 1  # as in protobuf itself


def fields(data: "bytes | mmap.mmap", start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, wire type, start, end) of a message; for varints (value, 0) instead of (start, end).

    Raises ValueError for what is no protobuf message as writers write it: numbers in more bytes than they need, field
    numbers that there are not, groups, and lengths beyond the end.
    """
    position = start
    while position < end:
        place = position
        key, position = _varint(data, position, end)
        number, wire = key >> 3, key & 7
        if not 1 <= number <= _LAST_NUMBER:
            raise ValueError(f"field number {number} at byte {place}")
        if wire == VARINT:
            value, position = _varint(data, position, end)
            yield number, wire, value, 0
            continue
        if wire == BYTES:
            length, position = _varint(data, position, end)
            if length > _LAST_LENGTH:
                raise ValueError(f"a length of {length} at byte {place}")
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {wire} at byte {place}")
        if position + length > end:
            raise ValueError(f"cut off at byte {end}")
        yield number, wire, position, position + length
        position += length


def _varint(data: "bytes | mmap.mmap", position: int, end: int) -> tuple[int, int]:
    place = position
    value = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if value >> 64 or shift > 70:
            raise ValueError(f"a number of more than 64 bits at byte {place}")
        if byte < 0x80:
            if byte == 0 and shift > 7:
                raise ValueError(f"a number in more bytes than it needs at byte {place}")
            return value, position
    raise ValueError(f"cut off at byte {end}")
