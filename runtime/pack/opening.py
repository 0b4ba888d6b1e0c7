"""Lets a pack be opened like a bundle's folder: unpacked once into the cache, found there the next time."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from segrt.runtime.bundle.bundle import MANIFEST
from segrt.runtime.bundle.hashes import cache_folder
from segrt.runtime.errors import BundleError
from segrt.runtime.pack.reader import Pack


def unpacked(path: Path) -> Path:
    """Return the folder of the bundle in the pack at `path`, unpacked in segrt's cache under the pack's digest.

    Where the cache cannot be written, it is a folder that is deleted when the process ends. Raises BundleError.
    """
    with Pack(path) as pack:
        folder = cache_folder() / "packs" / pack.digest
        if _holds(folder, pack):
            return folder
        if not _writable(folder.parent):
            temporary = Path(tempfile.mkdtemp(prefix="segrt-pack-"))
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
            return pack.extract(temporary / pack.digest)
        if os.path.lexists(folder):  # damaged, or of another time
            shutil.rmtree(folder, ignore_errors=True)
        try:
            return pack.extract(folder)
        except BundleError:
            if _holds(folder, pack):  # another process was quicker
                return folder
            raise


def _holds(folder: Path, pack: Pack) -> bool:
    """Whether `folder` holds all files of `pack`; their hashes are compared when they are used."""
    try:
        if (folder / MANIFEST).read_bytes() != pack.manifest_bytes:
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
