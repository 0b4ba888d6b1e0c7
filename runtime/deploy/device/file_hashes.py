"""Which files a folder has, with the SHA-256 of each, and whether it still has them."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 20
_LINK = -1


@dataclass(frozen=True)
class IndexedFile:
    """A file: its path or name, its length in bytes, its SHA-256. A link has length -1 and its target's SHA-256."""

    path: str
    size: int
    sha256: str


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def files_of(folder: Path, *, but_for: Iterable[str] = ()) -> tuple[IndexedFile, ...]:
    """Return all files and links below `folder`, in the order of their paths, without those at its top in `but_for`."""
    left_out = set(but_for)
    paths = sorted(path for path in _below(folder) if path not in left_out)
    return tuple(_file(folder, path) for path in paths)


def difference(folder: Path, files: Iterable[IndexedFile], *, but_for: Iterable[str] = ()) -> str | None:
    """Return in words the first difference between the files below `folder` and `files`, None where there is none."""
    expected = {file.path: file for file in files}
    left_out = set(but_for)
    try:
        there = {path for path in _below(folder) if path not in left_out}
        for path in sorted(there ^ set(expected)):
            return f"{folder / path}: {'is missing' if path in expected else 'was added'}"
        for path in sorted(expected):
            if not _is_same(folder, expected[path]):
                return f"{folder / path}: was changed"
    except OSError as error:
        return f"{error.filename or folder}: cannot be read ({error.strerror})"
    return None


def _is_same(folder: Path, expected: IndexedFile) -> bool:
    path = folder / expected.path
    if path.is_symlink() != (expected.size == _LINK):
        return False
    if expected.size != _LINK and (not path.is_file() or path.lstat().st_size != expected.size):
        return False
    return _file(folder, expected.path).sha256 == expected.sha256


def _file(folder: Path, name: str) -> IndexedFile:
    path = folder / name
    if path.is_symlink():
        return IndexedFile(name, _LINK, hashlib.sha256(os.fsencode(path.readlink())).hexdigest())
    return IndexedFile(name, path.lstat().st_size, sha256_of(path))


def _below(folder: Path) -> Iterator[str]:
    """Yield the paths of everything below `folder` that is no folder; links are not followed."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        above = Path(parent)
        for name in (*names, *(name for name in folders if (above / name).is_symlink())):
            yield str((above / name).relative_to(folder))


def _raise(error: OSError) -> None:
    raise error
