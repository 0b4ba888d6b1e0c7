"""Overlays as an H.264 video."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.output_files import check_file, names_of_sources
from segrt.runtime.outputs.rotation import RotatedFiles, numbered_names
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.video_writer import LOOKAHEAD, Mp4Writer
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo


class Mp4Sink(Sink):
    """Writes the drawn frames to `path`; of several sources, each gets a file of its own beside it (out-NAME.mp4).

    Files are named and rotated by `RotatedFiles`. After a failure a new file is begun.
    """

    forms: ClassVar = {"FILE.mp4": ""}
    name = "mp4"
    needs_drawing = True

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        check_file(path)
        self._path = path
        self._options = options or SinkOptions()
        self._tracks: dict[str, _Track] = {}

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:
        """Return the file of each source, and those that it is rotated into."""
        paths = tuple(_paths(Path(spec), source_ids).values())
        rotated = tuple((path.parent, numbered_names(path)) for path in paths)
        return WrittenFiles(Path(spec), files=paths, rotated=rotated)

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Prepare a writer for each source; its file is created with the first frame."""
        paths = _paths(self._path, [source.source_id for source in sources])
        for source in sources:
            check_file(paths[source.source_id])
            self._tracks[source.source_id] = _Track(paths[source.source_id], source.rate, self._options)

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Encode the drawn frame at its own time."""
        assert drawn is not None
        self._tracks[frame.source_id].write(drawn, frame.pts)

    def reopen(self) -> None:
        """Let every source begin a new file with its next frame."""
        for track in self._tracks.values():
            with suppress(SegrtError):  # what could be saved was saved when it failed
                track.close()

    def written(self) -> Sequence[Path]:
        """Return each source's videos."""
        return [path for track in self._tracks.values() for path in track.begun]

    def close(self) -> None:
        """Finish every file, also when one of them fails."""
        with ExitStack() as files:
            for track in self._tracks.values():
                files.callback(track.close)


def _paths(path: Path, source_ids: Sequence[str]) -> dict[str, Path]:
    """Return the file of each source: `path` of a single one, else out-NAME.mp4."""
    names = names_of_sources(source_ids)
    return {
        source_id: path.with_name(f"{path.stem}-{name}{path.suffix}") if name else path
        for source_id, name in names.items()
    }


class _Track:
    """The files of one source, one after another."""

    def __init__(self, path: Path, rate: Fraction | None, options: SinkOptions) -> None:
        self._rate = rate
        # What a camera has shown is in the file at once; a file made from a file may take its time.
        self._lookahead = 0 if options.live else LOOKAHEAD
        self._files = RotatedFiles(path, options)
        self._writer: Mp4Writer | None = None
        self._size: tuple[int, ...] = ()

    @property
    def begun(self) -> list[Path]:
        return self._files.begun

    def write(self, picture: Picture, pts: float | None) -> None:
        rotates = self._files.seconds is not None
        if self._files.due(pts) or (rotates and picture.shape != self._size):
            self.close()
        if self._writer is None:
            self._writer = Mp4Writer(self._files.next(), rate=self._rate, lookahead=self._lookahead)
            self._files.due(pts)  # notes when it begins
            self._size = picture.shape
        self._writer.write(picture, pts)

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
