"""Overlays as pictures, one file a frame."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import Picture, write_image
from segrt.runtime.outputs.output_files import failed_write, names_of_sources
from segrt.runtime.outputs.place import Anchor, Disk
from segrt.runtime.outputs.rotation import last_number, numbered, say_next
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import PictureFolder, WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo

_NUMBER = re.compile(r"%0?\d*d")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_DEFAULT = "%06d.jpg"
_ANY_INDEX = 1_234_567  # longer than any pattern asks for


@dataclass(frozen=True)
class PictureNames:
    """A folder, and how the pictures in it are named by a frame's index: a pattern with one %d."""

    folder: Path
    pattern: str

    @property
    def regex(self) -> re.Pattern[str]:
        """What the names match in full."""
        # The index of a frame has six digits or more.
        return re.compile(_NUMBER.sub(r"\\d+", re.escape(self.pattern)) if self.pattern != _DEFAULT else r"\d{6,}\.jpg")

    def written(self, source_name: str) -> PictureFolder:
        """Return what is written of a source, which has a folder of its own if it has a name."""
        return PictureFolder(self.folder / source_name, self.regex, _NUMBER.sub(str(_ANY_INDEX), self.pattern))

    def taken(self, source_names: Sequence[str]) -> bool:
        """Return whether a picture of these names is in a folder of one of the sources."""
        folders = [self.folder / name for name in source_names]
        return any(
            self.regex.fullmatch(entry.name) for folder in folders if folder.is_dir() for entry in folder.iterdir()
        )

    def following(self, source_names: Sequence[str]) -> "PictureNames":
        """Return names that no earlier run has used: out-00001/%06d.jpg, or of a pattern f-00001-%06d.png."""
        if self.pattern == _DEFAULT and self.folder.name not in ("", ".."):
            return PictureNames(numbered(self.folder, last_number(self.folder) + 1), self.pattern)
        number = _NUMBER.search(self.pattern)
        assert number is not None
        head = self.pattern[: number.start()].rstrip("-")
        head += "-" if head else ""
        used = re.compile(re.escape(head) + r"(\d{5,})-\d+" + re.escape(self.pattern[number.end() :]))
        folders = [self.folder / name for name in source_names]
        matches = (used.fullmatch(entry.name) for folder in folders if folder.is_dir() for entry in folder.iterdir())
        last = max((int(match.group(1)) for match in matches if match), default=0)
        return PictureNames(self.folder, f"{head}{last + 1:05d}-{self.pattern[number.start() :]}")


class PictureSink(Sink):
    """Writes each overlay to `path`: a folder (000000.jpg, …) or a pattern with the frame's index (out/%06d.png).

    Each of several sources has a folder of its own inside. A live stream never writes among the pictures of an earlier
    run: it takes the folder out-00001, or the pattern f-00001-%06d.png.
    """

    forms: ClassVar = {"DIR": "", "DIR/%06d.png": ""}
    name = "pictures"
    needs_drawing = True

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        self._given = _names_of(path)
        pattern = self._given.pattern
        if len(_NUMBER.findall(pattern)) != 1 or pattern.count("%") != 1:
            stem = path.stem.partition("%")[0].rstrip("-_.") or "frame"
            raise VideoError(f"{path}: is one picture, but there is one for each frame; use {stem}-%06d{path.suffix}")
        make_folder(self._given.folder)
        self._live = options is not None and options.live
        self._disk = Disk(self._given.folder)
        self._names = self._given
        self._sources: Mapping[str, str] = {}
        self._anchors: dict[str, Anchor] = {}
        self._pictures = 0

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:
        """Return each source's folder of pictures."""
        names = _names_of(Path(spec))
        folders = names_of_sources(source_ids).values()
        return WrittenFiles(Path(spec), tuple(names.written(name) for name in folders))

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Make a folder for each of several sources."""
        self._sources = names_of_sources([source.source_id for source in sources])
        self._begin()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Write the frame's picture whole or not at all."""
        assert drawn is not None
        anchor, written = self._anchors[frame.source_id], f"{self._pictures} pictures were written"
        anchor.check(written)
        folder = self._names.folder / self._sources[frame.source_id]
        try:
            write_image(folder / (self._names.pattern % frame.index), drawn)
        except SegrtError:
            anchor.check(written)  # if it is gone since, that is the reason
            raise
        self._pictures += 1

    def reopen(self) -> None:
        """Go on in the same folders; begin anew where one of them was deleted or replaced."""
        if not self._anchors or not all(anchor.stands() for anchor in self._anchors.values()):
            self._begin()

    def written(self) -> Sequence[Path]:
        """Return the folder, if a picture is in it."""
        return [self._names.folder] if self._pictures else []

    def close(self) -> None:
        """Let go of the folders: every picture is complete."""
        for anchor in self._anchors.values():
            anchor.release()
        self._anchors = {}

    def _begin(self) -> None:
        self.close()
        self._disk.check()
        self._names = self._given
        source_names = list(self._sources.values())
        if self._live and self._given.taken(source_names):
            self._names = self._given.following(source_names)
            say_next(self._given.folder, f"{self._names.folder}/{self._names.pattern}")
        for source_id, name in self._sources.items():
            folder = make_folder(self._names.folder / name)
            try:
                self._anchors[source_id] = Anchor(folder)
            except OSError as error:
                raise failed_write(folder, error, "nothing is in it") from error


def _names_of(path: Path) -> PictureNames:
    """Return the folder that `path` names, and how its pictures are named by a frame's index."""
    if path.is_dir() or path.suffix.lower() not in _SUFFIXES:
        return PictureNames(path, _DEFAULT)
    return PictureNames(path.parent, path.name)
