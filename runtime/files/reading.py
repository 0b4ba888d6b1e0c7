"""Reads files: regular ones alone, and no more of them than the reader can use.

What is refused is an `OSError` whose `strerror` says why, as for a file that is missing: whoever reads a file puts it
into one line with the path and the remedy.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MOST_TEXT = 64 << 20
"""The most bytes of JSON or text about one thing: a manifest, a list of classes, a record."""
MOST_DATASET = 1 << 30
"""The most bytes of a data set's JSON; COCO's largest, of 118,000 pictures, has 470 MB."""

_KINDS = {
    stat.S_IFIFO: "is a pipe, not a file",
    stat.S_IFSOCK: "is a socket, not a file",
    stat.S_IFCHR: "is a device, not a file",
    stat.S_IFBLK: "is a device, not a file",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a pipe or device is refused at once, though opening it would wait for a writer.

    Raises OSError for everything that cannot be read, also for a name that no file can have.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError:  # a name with a zero byte, or one that the file system's encoding lacks
        raise OSError(errno.EINVAL, "no file can have such a name") from None
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot even be opened
            raise OSError(errno.ENXIO, _KINDS[stat.S_IFSOCK]) from None
        raise
    try:
        kind = stat.S_IFMT(os.fstat(handle).st_mode)
        if kind == stat.S_IFDIR:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if kind != stat.S_IFREG:
            raise OSError(errno.EINVAL, _KINDS.get(kind, "is not a regular file"))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, most: int = MOST_TEXT) -> bytes:
    """Return the content of a regular file of at most `most` bytes; raise OSError for any other."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"has {size} bytes, at most {most} are read")
        data = file.read(size + 1)  # of which as many are allocated, whatever the file has
        if len(data) > size:  # it grows, or is one of the system's, which say that they are empty
            data += file.read(most + 1 - len(data))
    if len(data) > most:
        raise OSError(errno.EFBIG, f"has more than {most} bytes")
    return data


def exists(path: Path) -> bool:
    """Whether there is something at `path`; False for a name that no file can have."""
    return _kind(path) is not None


def is_regular(path: Path) -> bool:
    """Whether there is a regular file at `path`; False for a name that no file can have."""
    return _kind(path) == stat.S_IFREG


def is_folder(path: Path) -> bool:
    """Whether there is a folder at `path`; False for a name that no file can have."""
    return _kind(path) == stat.S_IFDIR


def _kind(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return None
