"""Receives files, in as many connections as it takes."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

from segrt.runtime.deploy.device.durable_files import remove, rename, sync_folder
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.file_hashes import sha256_of
from segrt.runtime.deploy.device.folders import ServiceFolders

_CHUNK = 1 << 18
_FLUSH_EVERY = 8 << 20
_SPARE = 32 << 20


def bytes_here(folders: ServiceFolders, sha256: str) -> int | None:
    """Return how many bytes of the file with that hash are here, or None when it is whole."""
    if (folders.incoming / sha256).is_file():
        return None
    part = folders.incoming / f"{sha256}.part"
    return part.stat().st_size if part.is_file() else 0


def receive(folders: ServiceFolders, sha256: str, size: int, offset: int, source: BinaryIO) -> None:
    """Append what `source` gives to the part of a file that is here; put it in place when it is whole and right.

    Returns also when the source ends early: what came is kept, and `bytes_here` tells how much it is. Raises Failure
    for a full disk, and for content with another SHA-256.
    """
    folders.make()
    part = folders.incoming / f"{sha256}.part"
    need_space(folders.root, size - offset)
    try:
        with part.open("ab") as file:
            file.truncate(offset)
            sync_folder(folders.incoming)
            unflushed = 0
            while chunk := source.read(min(_CHUNK, size - offset)):
                file.write(chunk)
                offset += len(chunk)
                unflushed += len(chunk)
                if unflushed >= _FLUSH_EVERY:
                    file.flush()
                    os.fsync(file.fileno())
                    unflushed = 0
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Failure(f"{part}: cannot be written ({error.strerror}); make room and run with --resume") from None
    if offset < size:
        return
    if sha256_of(part) != sha256:
        remove(part)
        raise Failure("changed in transit: what arrived has another SHA-256, so it was removed; run with --resume")
    rename(part, folders.incoming / sha256)


def need_space(folder: Path, size: int) -> None:
    """Raise Failure unless `size` bytes, and some to spare, are free where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        needed = (size + _SPARE) / 1e6
        raise Failure(f"disk full: {folder} has {free / 1e6:.0f} MB free, but needs {needed:.0f} MB; make room")
