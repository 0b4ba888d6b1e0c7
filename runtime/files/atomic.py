"""Writes files whole or not at all: beside the target first, then renamed over it."""

import os
from collections.abc import Iterable
from pathlib import Path

from segrt.runtime.errors import SegrtError


def write_atomic(path: Path, data: bytes | memoryview, *, mode: int | None = None) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one, never a part.

    `mode` are its permissions, those of new files by default. Raises SegrtError when it cannot be written. The folder
    must exist.
    """
    replace_atomic(path, (data,), mode=mode)


def replace_atomic(path: Path, parts: Iterable[bytes | memoryview], *, mode: int | None = None) -> None:
    """Write `parts` one after the other, as `write_atomic` does."""
    try:
        aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.partial")
        try:
            with aside.open("xb") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SegrtError(f"{path}: cannot be written ({error.strerror}); choose a writable folder with space") from None


def prepare_file(path: Path, option: str) -> None:
    """Make the folder of the output file `path`, given as `option`; raise SegrtError when it cannot be a file there."""
    if path.is_dir():
        raise SegrtError(f"{path}: is a folder; give {option} a file")
    make_folder(path.absolute().parent)


def prepare_folder(path: Path, option: str) -> None:
    """Make the output folder `path`, given as `option`; raise SegrtError when it is a file or cannot be made."""
    if path.exists() and not path.is_dir():
        raise SegrtError(f"{path}: is a file; give {option} a folder")
    make_folder(path)


def check_folder(path: Path) -> None:
    """Raise SegrtError when the output folder `path` can neither be made nor written to; make nothing."""
    nearest = next(folder for folder in (path.absolute(), *path.absolute().parents) if os.access(folder, os.F_OK))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        make_folder(path)  # fails, and says why


def make_folder(path: Path) -> Path:
    """Create the output folder `path` and its parents; raise SegrtError when that fails or it cannot be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SegrtError(f"{path}: cannot be made a folder ({error.strerror}); choose another output folder") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise SegrtError(f"{path}: is not writable; choose another output folder or change its permissions")
    return path
