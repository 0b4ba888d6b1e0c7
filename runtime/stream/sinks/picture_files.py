"""Overlays as pictures, one file a frame."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from segrt.runtime.errors import VideoError
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import Picture, write_image
from segrt.runtime.outputs.output_files import names_of_sources
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import PictureFolder, WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo

_NUMBER = re.compile(r"%0?\d*d")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_DEFAULT = "%06d.jpg"


class PictureSink(Sink):
    """Writes each overlay to `path`: a folder (000000.jpg, …) or a pattern with the frame's index (out/%06d.png).

    Each of several sources has a folder of its own inside.
    """

    forms: ClassVar = {"DIR": "", "DIR/%06d.png": ""}
    name = "pictures"
    needs_drawing = True

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:  # noqa: ARG002
        self._folder, self._pattern = _folder_and_pattern(path)
        if len(_NUMBER.findall(self._pattern)) != 1 or self._pattern.count("%") != 1:
            raise VideoError(
                f"{path}: is one picture, but there is one for each frame; use {path.stem}-%06d{path.suffix}"
            )
        make_folder(self._folder)
        self._folders: dict[str, Path] = {}

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:
        """Return each source's folder of pictures."""
        folder, pattern = _folder_and_pattern(Path(spec))
        # The index of a frame has six digits or more.
        names = re.compile(_NUMBER.sub(r"\\d+", re.escape(pattern)) if pattern != _DEFAULT else r"\d{6,}\.jpg")
        folders = names_of_sources(source_ids).values()
        return WrittenFiles(Path(spec), tuple(PictureFolder(folder / name, names) for name in folders))

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Make a folder for each of several sources."""
        for source_id, name in names_of_sources([source.source_id for source in sources]).items():
            self._folders[source_id] = make_folder(self._folder / name)

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Write the frame's picture whole or not at all."""
        assert drawn is not None
        path = self._folders[frame.source_id] / (self._pattern % frame.index)
        write_image(path, drawn)

    def reopen(self) -> None:
        """Make the folders again, if they are gone."""
        for folder in self._folders.values():
            make_folder(folder)

    def close(self) -> None:
        """Do nothing: every picture is complete."""


def _folder_and_pattern(path: Path) -> tuple[Path, str]:
    """Return the folder that `path` names, and how its pictures are named by a frame's index."""
    if path.is_dir() or path.suffix.lower() not in _SUFFIXES:
        return path, _DEFAULT
    return path.parent, path.name
