"""A file of whole lines: each is handed to the system at once, and what a failure leaves half-written is cut off."""

from contextlib import suppress
from errno import ENOSPC
from io import SEEK_END
from os import strerror
from pathlib import Path
from typing import BinaryIO

from segrt.runtime.outputs.output_files import failed_write
from segrt.runtime.outputs.place import Anchor, delete_empty


class LineFile:
    """Appends lines to a file, so that a killed process leaves complete ones. `size` is their bytes.

    A failure leaves no empty file. A file that was deleted or replaced since is noticed with the next line.
    """

    def __init__(self, path: Path) -> None:
        """Create the file; raise VideoError when that fails."""
        self.path = path
        self.size = 0
        self.lines = 0
        self._file: BinaryIO | None = None
        self._anchor: Anchor | None = None
        try:
            self._file = path.open("wb", buffering=0)
            self._anchor = Anchor(path)
        except OSError as error:
            self.close()
            raise failed_write(path, error, "nothing is in it") from error

    def append(self, line: bytes) -> None:
        """Write `line` and a line feed; raise VideoError when that fails."""
        if self._file is None:
            self.reopen()
        assert self._file is not None
        assert self._anchor is not None
        self._anchor.check(self._written)
        try:
            if self._file.write(line + b"\n") != len(line) + 1:
                raise OSError(ENOSPC, strerror(ENOSPC))  # a full disk takes a part first
        except OSError as error:
            self._cut_off()
            raise failed_write(self.path, error, self._written) from error
        self.lines += 1
        self.size += len(line) + 1

    def stands(self) -> bool:
        """Return whether the path still names this file."""
        return self._anchor is not None and self._anchor.stands()

    def reopen(self) -> None:
        """Go on behind the last complete line; raise VideoError when that fails or the file is gone."""
        assert self._anchor is not None
        self.close()
        self._anchor.check(self._written)
        try:
            self._file = self.path.open("r+b", buffering=0)
            self._file.truncate(self.size)
            self._file.seek(0, SEEK_END)
        except OSError as error:
            raise failed_write(self.path, error, self._written) from error

    def close(self) -> None:
        """Close the file; appending opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def release(self) -> None:
        """Close the file for good."""
        self.close()
        if self._anchor is not None:
            self._anchor.release()

    @property
    def _written(self) -> str:
        return f"{self.lines} complete lines are in it" if self.lines else "nothing is in it"

    def _cut_off(self) -> None:
        """Undo the write of a part of a line; delete a file that has no line then."""
        assert self._file is not None
        with suppress(OSError):
            self._file.truncate(self.size)
        if self.size == 0:
            self.close()
            delete_empty(self.path)
