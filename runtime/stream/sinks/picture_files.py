"""Overlays as pictures, one file a frame."""

import re
from collections.abc import Sequence
from pathlib import Path

from segrt.runtime.errors import VideoError
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import Picture, write_image
from segrt.runtime.outputs.output_files import names_of_sources
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo

_NUMBER = re.compile(r"%0?\d*d")
_SUFFIXES = (".jpg", ".jpeg", ".png")


class PictureSink(Sink):
    """Writes each overlay to `path`: a folder (000000.jpg, …) or a pattern with the frame's index (out/%06d.png).

    Each of several sources has a folder of its own inside.
    """

    name = "pictures"
    needs_drawing = True

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:  # noqa: ARG002
        if path.is_dir() or path.suffix.lower() not in _SUFFIXES:
            self._folder, self._pattern = path, "%06d.jpg"
        else:
            self._folder, self._pattern = path.parent, path.name
            if len(_NUMBER.findall(path.name)) != 1 or path.name.count("%") != 1:
                raise VideoError(
                    f"{path}: is one picture, but there is one for each frame; use {path.stem}-%06d{path.suffix}"
                )
        make_folder(self._folder)
        self._folders: dict[str, Path] = {}

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
