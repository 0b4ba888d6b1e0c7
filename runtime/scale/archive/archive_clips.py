"""What is handed to workers: files, and the clips that they are cut into. All of it travels between processes."""

import hashlib
from dataclasses import dataclass
from typing import Literal

Kind = Literal["video", "picture"]
Root = str
"""An address with its credentials, for whoever opens files of it; "" for this device's disks. It is kept nowhere."""


@dataclass(frozen=True)
class SourceFile:
    """A file: `path` in the file system of `root`; `name` is what rows say; size and time tell a changed one."""

    root: Root
    path: str
    name: str
    kind: Kind
    size: int
    modified: int

    @property
    def source_id(self) -> str:
        """What parts about this file are called."""
        return f"source-{digest(self.name)}"


@dataclass(frozen=True)
class Clip:
    """Some pictures, or the frames of one video from `start` to before `end`, presentation times in ticks.

    None for `start` is the file's beginning, for `end` its end. `first_frame` is the place of the first frame in its
    file; `frames` how many there are, None where only decoding tells. `before` is the key frame of the clip
    before, where decoding begins if this one's is damaged. `begins` and `ends` are `start` and `end` in seconds.
    """

    files: tuple[SourceFile, ...]
    start: int | None = None
    end: int | None = None
    first_frame: int = 0
    frames: int | None = None
    before: int | None = None
    begins: float | None = None
    ends: float | None = None

    @property
    def clip_id(self) -> str:
        """What the parts of this clip are called: it follows from the files and the times."""
        named = "\n".join(f"{file.name}\t{file.size}\t{file.modified}" for file in self.files)
        return "clip-" + digest(f"{named}\n{self.start}\n{self.end}")

    @property
    def name(self) -> str:
        """What messages call it."""
        first = self.files[0].name
        return first if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"


def digest(text: str) -> str:
    """Return 20 hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]
