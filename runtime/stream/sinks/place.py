"""Places to write to: checked before the first frame, one for each source."""

import os
import re
from pathlib import Path

from segrt.runtime.atomic import make_folder
from segrt.runtime.errors import VideoError


def check_file(path: Path) -> None:
    """Make the folder of `path` and check that the file can be written; raise SegrtError naming the remedy."""
    make_folder(path.parent)
    if path.is_dir():
        raise VideoError(f"{path}: is a folder; give a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise VideoError(f"{path}: is not writable; choose another file or change its permissions")


def file_of_source(path: Path, source_id: str, several: bool) -> Path:
    """Return `path` for a single source; of several, each has a file of its own: out.mp4 → out-NAME.mp4."""
    return path.with_name(f"{path.stem}-{safe_name(source_id)}{path.suffix}") if several else path


def safe_name(source_id: str) -> str:
    """Return the last part of a source's id as a file name: "cams/gate 1.mp4#2" → "gate_1.mp4_2"."""
    return re.sub(r"[^\w.-]+", "_", source_id.rstrip("/").rpartition("/")[2]).strip("._") or "source"


def could_not(path: Path, error: BaseException, written: str) -> VideoError:
    """Return the error of a failed write to `path`; `written` says what is there already."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return VideoError(f"{path}: cannot be written ({reason}); {written}; choose a writable folder with space")
