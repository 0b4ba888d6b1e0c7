"""A file of whole lines: each is handed to the system at once, and what a failure leaves half-written is cut off."""

from contextlib import suppress
from errno import ENOSPC
from io import SEEK_END
from os import strerror
from pathlib import Path
from typing import BinaryIO

from segrt.runtime.outputs.output_files import failed_write


class LineFile:
    """Appends lines to a file, so that a killed process leaves complete ones. `size` is their bytes."""

    def __init__(self, path: Path) -> None:
        """Create the file; raise VideoError when that fails."""
        self.path = path
        self.size = 0
        self.lines = 0
        self._file: BinaryIO | None = None
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise failed_write(path, error, "nothing is in it") from error

    def append(self, line: bytes) -> None:
        """Write `line` and a line feed; raise VideoError when that fails."""
        if self._file is None:
            self.reopen()
        assert self._file is not None
        try:
            if self._file.write(line + b"\n") != len(line) + 1:
                raise OSError(ENOSPC, strerror(ENOSPC))  # a full disk takes a part first
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self.size)
            raise failed_write(self.path, error, f"{self.lines} complete lines are in it") from error
        self.lines += 1
        self.size += len(line) + 1

    def reopen(self) -> None:
        """Go on behind the last complete line; raise VideoError when that fails."""
        self.close()
        try:
            self._file = self.path.open("r+b" if self.path.exists() else "wb", buffering=0)
            self._file.truncate(self.size)
            self._file.seek(0, SEEK_END)
        except OSError as error:
            raise failed_write(self.path, error, f"{self.lines} complete lines are in it") from error

    def close(self) -> None:
        """Close the file; appending opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
