"""Overlays as an H.264 video."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.base import Picture, Sink
from segrt.runtime.stream.sinks.mp4_writer import Mp4Writer
from segrt.runtime.stream.sinks.place import check_file, names_of_sources
from segrt.runtime.stream.sources.base import SourceInfo


class Mp4Sink(Sink):
    """Writes the drawn frames to `path`; of several sources, each gets a file of its own beside it (out-NAME.mp4)."""

    name = "mp4"
    needs_drawing = True

    def __init__(self, path: Path) -> None:
        check_file(path)
        self._path = path
        self._writers: dict[str, Mp4Writer] = {}

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Prepare a writer for each source; its file is created with the first frame."""
        names = names_of_sources(sources)
        for source in sources:
            name = names[source.source_id]
            path = self._path.with_name(f"{self._path.stem}-{name}{self._path.suffix}") if name else self._path
            check_file(path)
            self._writers[source.source_id] = Mp4Writer(path, rate=source.rate)

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Encode the drawn frame at its own time."""
        assert drawn is not None
        self._writers[frame.source_id].write(drawn, frame.pts)

    def close(self) -> None:
        """Finish every file, also when one of them fails."""
        with ExitStack() as files:
            for writer in self._writers.values():
                files.callback(writer.close)
