"""Reads files that anybody may have put there: regular ones alone, and no more of them than is used."""

import os
import stat
from pathlib import Path

MOST_BYTES = 64 << 20
"""The most bytes of a record; the list of an environment's files is the longest."""


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file of at most `most` bytes; raise OSError, which says why, for any other.

    A pipe or device is refused at once, though opening it would wait for a writer.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "is no regular file", str(path))
    with open(handle, "rb") as file:  # noqa: PTH123 (a handle)
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(0, f"has more than {most} bytes", str(path))
    return data
