"""Names of files that follow one another: when the next one begins, what it is called, which old ones are deleted."""

import logging
import re
import shutil
from contextlib import suppress
from pathlib import Path

from segrt.runtime.files.atomic import make_folder
from segrt.runtime.outputs.place import Disk
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import WrittenFiles

log = logging.getLogger("segrt.stream")
_DEFAULT_SECONDS = 600.0
_SMALLEST_SHARE = 8  # a file is at most this part of what is kept: else there would be one file, which never goes


def numbered(path: Path, number: int) -> Path:
    """Return the path of file `number` after `path`: out.mp4 → out-00001.mp4, a folder out → out-00001."""
    return path.with_name(f"{path.stem}-{number:05d}{path.suffix}")


def numbered_names(path: Path) -> re.Pattern[str]:
    """Return what the names of `numbered` files match in full; the group is the number."""
    return re.compile(re.escape(path.stem) + r"-(\d{5,})" + re.escape(path.suffix))


def written_with_rotation(path: Path) -> WrittenFiles:
    """Return what a sink writes that names its files by `RotatedFiles`."""
    return WrittenFiles(path, rotated=((path.parent, numbered_names(path)),))


def last_number(path: Path) -> int:
    """Return the highest number of a `numbered` file or folder that holds something, 0 without one."""
    matches = _matches(path.parent, numbered_names(path))
    return max((int(match.group(1)) for match, entry in matches if holds_something(entry)), default=0)


def holds_something(path: Path) -> bool:
    """Return whether `path` is a file with at least a byte in it, or a folder with an entry."""
    try:
        return any(path.iterdir()) if path.is_dir() else path.is_file() and path.stat().st_size > 0
    except OSError:
        return path.exists()  # what cannot be looked into may hold anything


def say_next(path: Path, following: Path | str) -> None:
    """Report that an earlier run has left something in `path`, and where this run goes on."""
    log.warning("%s holds an earlier recording; this run writes %s", path, following)


class RotatedFiles:
    """Names the files of a sink: `path` itself, then out-00001.mp4, out-00002.mp4, …; only these where files rotate.

    Of a live stream no file that holds something is ever named: numbers go on where an earlier run has stopped. The
    wall clock, which may be wrong, names nothing. With `with_folder` the folder of the same name belongs to each file,
    as out-00001/ to out-00001.json.
    """

    def __init__(self, path: Path, options: SinkOptions, *, with_folder: bool = False) -> None:
        self._path = path
        self._with_folder = with_folder
        self._keep = options.keep_bytes
        self._live = options.live
        rotates = options.segment_seconds is not None or options.keep_bytes is not None
        self.seconds = (options.segment_seconds or _DEFAULT_SECONDS) if rotates else None
        self._names = numbered_names(path)
        self._disk = Disk(path.parent)
        self._began: float | None = None
        self.current: Path | None = None
        self.begun: list[Path] = []
        """The files that this run has named and not deleted, oldest first."""

    def next(self) -> Path:
        """Return the path of a new file, whose folder is there; delete what is too much.

        Raises SegrtError when the folder cannot be made or its disk is gone.
        """
        self._disk.check()
        make_folder(self._path.parent)
        first, self.current = self.current is None, self._choose()
        if first and self.seconds is None and self.current != self._path:
            say_next(self._path, self.current.name)
        self._began = None
        self.prune()
        self.begun = [*(path for path in self.begun if path.exists() and path != self.current), self.current]
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
        matches = _matches(self._path.parent, self._names)
        for _, path in sorted((int(match.group(1)), path) for match, path in matches):
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

    def _choose(self) -> Path:
        if self.seconds is None:
            free = not self._taken(self._path) if self._live else self.current is None
            if free:
                return self._path
        last = last_number(self._path)
        if self._with_folder:  # a run that was killed with its first picture has left a folder alone
            last = max(last, last_number(self._path.with_suffix("")))
        return numbered(self._path, last + 1)

    def _taken(self, path: Path) -> bool:
        return holds_something(path) or (self._with_folder and holds_something(path.with_suffix("")))

    def _size(self, path: Path) -> int:
        inside = path.with_suffix("").glob("*") if self._with_folder else ()
        return path.stat().st_size + sum(file.stat().st_size for file in inside)


def _matches(folder: Path, names: re.Pattern[str]) -> list[tuple[re.Match[str], Path]]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []
    return [(match, entry) for entry in entries if (match := names.fullmatch(entry.name))]
