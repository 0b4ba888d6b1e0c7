"""SHA-256 of a bundle's files: in full when asked, on opening once per (size, modification time)."""

import hashlib
import json
import os
from pathlib import Path

from segrt.runtime.bundle.manifest import File
from segrt.runtime.errors import BundleError
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.hashing import sha256


def check_file(path: Path, expected: File, *, full: bool) -> None:
    """Raise BundleError unless the file at `path` has the size and hash that the manifest gives.

    With `full` the hash is always computed; else only when the file's size or modification time differ from those
    of the last time that this hash was found right on this device.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from None
    if status.st_size != expected.size:
        raise BundleError(
            f"{path}: has {status.st_size} bytes, but the manifest says {expected.size}; copy the bundle again"
        )
    record = _Record(path, status, expected.sha256)
    if not full and record.is_known():
        return
    try:
        actual = sha256(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from None
    if actual != expected.sha256:
        raise BundleError(
            f"{path}: has SHA-256 {actual[:12]}…, but the manifest says {expected.sha256[:12]}…; "
            "the file was changed or damaged, copy the bundle again"
        )
    record.remember()


class _Record:
    """A note in the cache folder that a file was found whole; a cache that cannot be used costs time, nothing else."""

    def __init__(self, path: Path, status: os.stat_result, expected: str) -> None:
        where = str(path.resolve())
        self.file = cache_folder() / "verified" / f"{hashlib.sha256(where.encode()).hexdigest()[:32]}.json"
        self.content = {"path": where, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": expected}

    def is_known(self) -> bool:
        try:
            return bool(json.loads(self.file.read_bytes()) == self.content)
        except (OSError, ValueError):
            return False

    def remember(self) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            aside = self.file.with_suffix(f".{os.getpid()}")
            aside.write_text(json.dumps(self.content))
            aside.replace(self.file)
        except OSError:
            return
