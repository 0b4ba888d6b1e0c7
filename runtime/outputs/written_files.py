"""What an output writes, told before it writes anything."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PictureFolder:
    """A folder that is filled with pictures, what their names match in full, and one of these names."""

    folder: Path
    names: re.Pattern[str]
    example: str = ""


@dataclass(frozen=True)
class WrittenFiles:
    """What an output of one name writes.

    `path` is the file or folder that was named, None for an output that is no file. `pictures` lie in folders; `files`
    are those that are written where that is not just `path`; `rotated` are the names of those of which the oldest may
    be deleted: (folder, what they match in full).
    """

    path: Path | None = None
    pictures: tuple[PictureFolder, ...] = ()
    files: tuple[Path, ...] | None = None
    rotated: tuple[tuple[Path, re.Pattern[str]], ...] = ()
