"""The form of a pack: a zip (PKWARE's APPNOTE 6.3) of stored files in which every byte follows from the content.

Names, sizes and CRCs fix all headers: times are 1980-01-01, modes 0644, each file begins at a multiple of 64 bytes
(the padding is zipalign's extra field 0xD935), nothing lies between, before or behind. So two packs of one content are
equal, any zip tool reads them, and a reader that rebuilds the headers and compares meets neither links, nor
compressed bombs, nor overlapping or hidden entries.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ALIGNMENT = 64
MAX_ENTRIES = 4096
MAX_SIZE = (1 << 32) - 1
MAX_TAIL = 2 << 20

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_MAX_NAME = 255
_MAX_PART = 128

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION, _UNIX, _STORED, _MIDNIGHT, _FIRST_DAY = 10, 3 << 8, 0, 0, 0x21
_PADDING_ID, _PADDING_HEAD = 0xD935, 6
_REGULAR_FILE, _KIND = 0o100644, 0o170000
_LINK, _FOLDER = 0o120000, 0o040000


class LayoutError(ValueError):
    """The bytes are no pack; the message says where they differ from one."""


@dataclass(frozen=True)
class Entry:
    """A file in a pack: its name, length in bytes and CRC-32."""

    name: str
    size: int
    crc: int


@dataclass(frozen=True)
class Layout:
    """Where everything lies: for each entry its header and the place of its data; the directory at the end."""

    entries: tuple[Entry, ...]
    headers: tuple[bytes, ...]
    places: tuple[int, ...]
    tail: bytes

    @property
    def size(self) -> int:
        """The length of the whole file in bytes."""
        return (self.places[-1] + self.entries[-1].size if self.entries else 0) + len(self.tail)


def lay_out(entries: Sequence[Entry]) -> Layout:
    """Return the one layout of `entries`; raise LayoutError for names or sizes that no pack may have."""
    _check_names([entry.name for entry in entries])
    headers, places, central, position = [], [], [], 0
    for entry in entries:
        name = entry.name.encode("ascii")
        padding = -(position + _LOCAL.size + len(name) + _PADDING_HEAD) % ALIGNMENT
        extra = struct.pack("<3H", _PADDING_ID, 2 + padding, ALIGNMENT) + bytes(padding)
        fixed = (_STORED, _MIDNIGHT, _FIRST_DAY, entry.crc, entry.size, entry.size, len(name))
        if position + entry.size > MAX_SIZE - MAX_TAIL:
            raise LayoutError(f"{entry.name!r} ends beyond 4 GiB, the most that a pack holds")
        headers.append(_LOCAL.pack(_LOCAL_MARK, _VERSION, 0, *fixed, len(extra)) + name + extra)
        mode = _REGULAR_FILE << 16
        central.append(
            _CENTRAL.pack(_CENTRAL_MARK, _UNIX | _VERSION, _VERSION, 0, *fixed, 0, 0, 0, 0, mode, position) + name
        )
        places.append(position + len(headers[-1]))
        position = places[-1] + entry.size
    directory = b"".join(central)
    count = len(entries)
    end = _END.pack(_END_MARK, 0, 0, count, count, len(directory), position, 0)
    return Layout(tuple(entries), tuple(headers), tuple(places), directory + end)


def end_size() -> int:
    """Return how many bytes at the end of a pack `tail_size` needs."""
    return _END.size


def tail_size(end: bytes) -> int:
    """Return the length of the directory with its end record, whose bytes are `end`."""
    if len(end) != _END.size or end[:4] != _END_MARK:
        raise LayoutError("its end is not a zip's")
    _, _, _, _, count, size, _, _ = _END.unpack(end)
    if count > MAX_ENTRIES or size > MAX_TAIL:
        raise LayoutError(f"it says that it has {count} files and a directory of {size} bytes")
    return int(size) + _END.size


def read_entries(tail: bytes) -> tuple[Entry, ...]:
    """Return the entries of the directory in `tail`; raise LayoutError for what no pack has, named where possible."""
    entries, position, end = [], 0, len(tail) - _END.size
    while position < end:
        if position + _CENTRAL.size > end or tail[position : position + 4] != _CENTRAL_MARK:
            raise LayoutError("its directory is damaged")
        fields = _CENTRAL.unpack_from(tail, position)
        method, crc, packed, size, name_length = fields[4], *fields[7:11]
        position += _CENTRAL.size
        try:
            name = tail[position : position + name_length].decode("ascii")
        except UnicodeDecodeError:
            raise LayoutError("a name in it is not plain ASCII") from None
        position += name_length + fields[11] + fields[12]
        kind = fields[15] >> 16 & _KIND
        if kind in (_LINK, _FOLDER) or name.endswith("/"):
            raise LayoutError(f"{name!r} in it is a {'link' if kind == _LINK else 'folder'}; a pack holds files only")
        if method != _STORED or packed != size:
            raise LayoutError(f"{name!r} in it is compressed; a pack's files are stored")
        entries.append(Entry(name, size, crc))
    _check_names([entry.name for entry in entries])
    return tuple(entries)


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    folders: set[str] = set()
    for name in names:
        parts = name.split("/")
        if not _SAFE_NAME.fullmatch(name) or len(name) > _MAX_NAME or max(map(len, parts)) > _MAX_PART:
            raise LayoutError(f"{name[:_MAX_NAME]!r} is not a plain path inside a pack")
        folded = name.lower()  # a file system may take two spellings for one file
        above = {"/".join(parts[:count]).lower() for count in range(1, len(parts))}
        if folded in seen:
            raise LayoutError(f"{name!r} is in it twice")
        if folded in folders or above & seen:
            raise LayoutError(f"{name!r} in it is both a file and a folder")
        seen.add(folded)
        folders |= above
