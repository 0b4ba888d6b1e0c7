"""Rotation of files: when the next one begins, what it is called, and which old ones are deleted."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from segrt.runtime.outputs.sink_options import SinkOptions

_DEFAULT_SECONDS = 600.0
_SMALLEST_SHARE = 8  # a file is at most this part of what is kept: else there would be one file, which never goes


class RotatedFiles:
    """Names the files of a sink: `path` itself, or out-00001.mp4, out-00002.mp4, … where files are rotated.

    Numbers go on where an earlier run has stopped: the wall clock, which may be wrong, names nothing. With
    `with_folder` the folder of the same name belongs to each file, as out-00001/ to out-00001.json.
    """

    def __init__(self, path: Path, options: SinkOptions, *, with_folder: bool = False) -> None:
        self._path = path
        self._with_folder = with_folder
        self._keep = options.keep_bytes
        rotates = options.segment_seconds is not None or options.keep_bytes is not None
        self.seconds = (options.segment_seconds or _DEFAULT_SECONDS) if rotates else None
        self._pattern = re.compile(re.escape(path.stem) + r"-(\d{5,})" + re.escape(path.suffix))
        self._began: float | None = None
        self.current: Path | None = None

    def next(self) -> Path:
        """Return the path of a new file; delete what is too much."""
        if self.seconds is None and self.current is None:
            self.current = self._path
        else:
            last = max((number for number, _ in self._files()), default=0)
            self.current = self._path.with_name(f"{self._path.stem}-{last + 1:05d}{self._path.suffix}")
        self._began = None
        self.prune()
        return self.current

    def due(self, pts: float | None, size: int | None = None) -> bool:
        """Say whether the frame of `pts` seconds begins a new file, by time or by size (None: the file's own)."""
        if self.seconds is None or self.current is None:
            return False
        if pts is not None:
            if self._began is None or pts < self._began:
                self._began = pts
            if pts - self._began >= self.seconds - 1e-6:
                return True
        if self._keep is not None:
            with suppress(OSError):
                size = self.current.stat().st_size if size is None else size
                return size >= self._keep // _SMALLEST_SHARE
        return False

    def prune(self) -> None:
        """Delete the oldest files while all together have more bytes than may be kept."""
        if self._keep is None:
            return
        files = []
        for _, path in sorted(self._files()):
            with suppress(OSError):  # somebody else has deleted it
                files.append((path, self._size(path)))
        # Room for the file that begins now, so that all of them stay below the limit.
        total = sum(size for _, size in files) + self._keep // _SMALLEST_SHARE
        for path, size in files:
            if total <= self._keep or path == self.current:
                break
            with suppress(OSError):
                if self._with_folder:
                    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink()
                total -= size

    def _size(self, path: Path) -> int:
        inside = path.with_suffix("").glob("*") if self._with_folder else ()
        return path.stat().st_size + sum(file.stat().st_size for file in inside)

    def _files(self) -> list[tuple[int, Path]]:
        try:
            paths = list(self._path.parent.iterdir())
        except OSError:
            return []
        matches = ((self._pattern.fullmatch(path.name), path) for path in paths)
        return [(int(match.group(1)), path) for match, path in matches if match]
