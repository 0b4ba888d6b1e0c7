"""Takes a file in, in as many goes as the connection needs."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from segrt.runtime.deploy.device.durable_files import remove, rename, sync_folder
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place

_CHUNK = 1 << 18
_FLUSH_EVERY = 8 << 20
_SPARE = 32 << 20


def arrived(place: Place, sha256: str) -> int | None:
    """Return how many bytes of a file are here, or None when it is whole."""
    if (place.incoming / sha256).is_file():
        return None
    part = place.incoming / f"{sha256}.part"
    return part.stat().st_size if part.is_file() else 0


def receive(place: Place, sha256: str, size: int, offset: int, source: BinaryIO) -> None:
    """Append what `source` gives to the part of a file that is here; put it in place when it is whole and right.

    Ends without a word when the source ends early: what came is kept. Raises Failure for a full disk, or content that
    is not what was sent.
    """
    place.make()
    part = place.incoming / f"{sha256}.part"
    need_space(place.root, size - offset)
    try:
        with part.open("ab") as file:
            file.truncate(offset)
            sync_folder(place.incoming)
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
    rename(part, place.incoming / sha256)


def need_space(folder: Path, size: int) -> None:
    """Raise Failure unless `size` bytes, and some to spare, are free where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        needed = (size + _SPARE) / 1e6
        raise Failure(f"disk full: {folder} has {free / 1e6:.0f} MB free, but needs {needed:.0f} MB; make room")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
