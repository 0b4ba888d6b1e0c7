"""One builder at a time: a lock on a file beside the engine, which ends with the process that holds it."""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segrt.runtime.errors import BackendError

log = logging.getLogger("segrt.tensorrt")
_POLL_SECONDS = 0.2


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for a block; wait, and say so once, while another process holds it."""
    try:
        file = path.open("ab")
    except OSError as error:
        raise BackendError(f"{path}: cannot be written ({error.strerror}); choose a writable --engine-dir") from None
    with file:
        said = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    log.info("%s: another process is building this engine; waiting for it", path.with_suffix(""))
                    said = True
                time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
