"""Lets a pack be opened like a bundle's folder: unpacked once into the cache, found there the next time."""

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from segrt.runtime.bundle.bundle import MANIFEST
from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.errors import BundleError, SegrtError
from segrt.runtime.files.atomic import write_atomic
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import read_bytes


def unpacked(path: Path) -> Path:
    """Return the folder of the bundle in the pack at `path`, unpacked in segrt's cache under the pack's digest.

    A folder that is there is taken when the pack's file is the one that was last found whole, else the file is hashed
    first. Where the cache cannot be written, it is a folder that is deleted when the process ends. Raises BundleError.
    """
    with Pack(path) as pack:
        folder = cache_folder() / "packs" / pack.digest
        note = _Note(pack)
        if _holds(folder, pack):
            if not note.is_known():
                pack.check()
                note.remember()
            return folder
        if not _writable(folder.parent):
            temporary = Path(tempfile.mkdtemp(prefix="segrt-pack-"))
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
            return pack.extract(temporary / pack.digest)
        if os.path.lexists(folder):  # damaged, or of another time
            shutil.rmtree(folder, ignore_errors=True)
        try:
            pack.extract(folder)
        except BundleError:
            if not _holds(folder, pack):  # else another process was quicker
                raise
            pack.check()
        note.remember()
        return folder


class _Note:
    """A note in the cache that a pack's file was found whole; any other file at its path, or change of it, differs."""

    def __init__(self, pack: Pack) -> None:
        where = str(pack.path.resolve())
        status = pack.status()
        self._file = cache_folder() / "packs" / f"{hashlib.sha256(os.fsencode(where)).hexdigest()[:32]}.json"
        self._content = {
            "path": where,
            "digest": pack.digest,
            "size": status.st_size,
            "device": status.st_dev,
            "inode": status.st_ino,
            "mtime_ns": status.st_mtime_ns,
            "ctime_ns": status.st_ctime_ns,
        }

    def is_known(self) -> bool:
        try:
            return bool(decode_json(read_bytes(self._file)) == self._content)
        except (OSError, JsonError):
            return False

    def remember(self) -> None:
        """Write the note; where that fails the pack is hashed again the next time."""
        with contextlib.suppress(SegrtError):
            write_atomic(self._file, json.dumps(self._content).encode())


def _holds(folder: Path, pack: Pack) -> bool:
    """Whether `folder` holds all files of `pack`; their hashes are compared when they are used."""
    try:
        if read_bytes(folder / MANIFEST) != pack.manifest_bytes:
            return False
        return all((folder / file.path).lstat().st_size == file.size for file in pack.index.files)
    except OSError:
        return False


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
