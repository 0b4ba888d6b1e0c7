"""SHA-256 of files."""

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec

from segrt.runtime.files.reading import open_regular

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path` in lower-case hex."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
