"""Files of a bundle: plain ones inside its folder, their SHA-256 checked in full or once per (size, time)."""

import hashlib
import json
import os
from pathlib import Path

from segrt.runtime.errors import BundleError
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.hashing import sha256
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import read_bytes


def plain_file(folder: Path, relative: str) -> Path:
    """Return the path of the file `relative` (with forward slashes) in `folder`; BundleError for a link or none."""
    path = folder
    for part in relative.split("/"):
        path = path / part
        if path.is_symlink():
            raise BundleError(f"{path}: is a link; a bundle holds plain files only, copy the file itself")
    if not path.is_file():
        raise BundleError(f"{path}: is missing; copy the bundle again")
    return path


def check_file(path: Path, size: int, expected: str, *, full: bool = False) -> None:
    """Raise BundleError unless the file at `path` has `size` bytes and the SHA-256 `expected`, as a manifest says.

    With `full` the hash is always computed; else only when the file's size or modification time differ from those
    of the last time that this hash was found right on this device.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from None
    if status.st_size != size:
        raise BundleError(f"{path}: has {status.st_size} bytes, but the manifest says {size}; copy the bundle again")
    record = _Record(path, status, expected)
    if not full and record.is_known():
        return
    try:
        actual = sha256(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from None
    if actual != expected:
        raise BundleError(
            f"{path}: has SHA-256 {actual[:12]}…, but the manifest says {expected[:12]}…; "
            "the file was changed or damaged, copy the bundle again"
        )
    record.remember()


class _Record:
    """A note in the cache folder that a file was found whole; a cache that cannot be used costs time, nothing else."""

    def __init__(self, path: Path, status: os.stat_result, expected: str) -> None:
        where = str(path.resolve())
        self.file = cache_folder() / "verified" / f"{hashlib.sha256(os.fsencode(where)).hexdigest()[:32]}.json"
        self.content = {"path": where, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": expected}

    def is_known(self) -> bool:
        try:
            return bool(decode_json(read_bytes(self.file)) == self.content)
        except (OSError, JsonError):
            return False

    def remember(self) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            aside = self.file.with_suffix(f".{os.getpid()}")
            aside.write_text(json.dumps(self.content))
            aside.replace(self.file)
        except OSError:
            return
