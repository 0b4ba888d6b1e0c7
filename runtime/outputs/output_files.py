"""Files to write to: checked before the first frame, named after sources, and the error of a failed write."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from segrt.runtime.errors import VideoError
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.collisions import tell_apart


def check_file(path: Path) -> None:
    """Make the folder of `path` and check that the file can be written; raise SegrtError naming the remedy."""
    make_folder(path.parent)
    if path.is_dir():
        raise VideoError(f"{path}: is a folder; give a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise VideoError(f"{path}: is not writable; choose another file or change its permissions")


def names_of_sources(source_ids: Sequence[str]) -> dict[str, str]:
    """Return a file name for each source id, all different; "" when there is but one source."""
    if len(source_ids) == 1:
        return {source_ids[0]: ""}
    return dict(zip(source_ids, tell_apart(map(safe_name, source_ids)), strict=True))


def safe_name(source_id: str) -> str:
    """Return the last part of a source's id as a file name: "cams/gate 1.mp4#2" → "gate_1.mp4_2"."""
    return re.sub(r"[^\w.-]+", "_", source_id.rstrip("/").rpartition("/")[2]).strip("._") or "source"


def failed_write(path: Path, error: BaseException, written: str) -> VideoError:
    """Return the error of a failed write to `path`; `written` says what is there already."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return VideoError(f"{path}: cannot be written ({reason}); {written}; choose a writable folder with space")
