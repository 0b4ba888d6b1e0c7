"""What an output writes, told before it writes anything."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PictureFolder:
    """A folder that is filled with pictures, and what their names match in full."""

    folder: Path
    names: re.Pattern[str]


@dataclass(frozen=True)
class WrittenFiles:
    """`path` is the file or folder that was named, None for an output that is no file; `pictures` lie in folders."""

    path: Path | None = None
    pictures: tuple[PictureFolder, ...] = ()
