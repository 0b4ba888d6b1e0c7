"""Writing files whole or not at all, so that what lies in an output folder is always valid."""

import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.errors import SegrtError


def write_bytes(path: "str | os.PathLike[str]", data: "bytes | memoryview") -> Path:
    """Write `data` to `path` through a temporary file beside it; folders are made as needed.

    Raises:
        SegrtError: the folder or file cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101 (mkstemp makes it private)
            os.replace(temporary, target)  # noqa: PTH105 (temporary is a plain string)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise SegrtError(f"cannot write {target}: {reason}; choose a folder that can be written") from error
    return target


def write_json(path: "str | os.PathLike[str]", value: Any) -> Path:
    """Write `value` as JSON with a final line end; same errors as `write_bytes`."""
    return write_bytes(path, msgspec.json.encode(value) + b"\n")


def _umask() -> int:
    # There is no way to read the mask without setting it; between the two calls no file is made in this thread.
    current = os.umask(0o022)
    os.umask(current)
    return current
