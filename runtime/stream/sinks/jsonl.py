"""Results as JSON lines: one line a frame, complete or absent."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from segrt.runtime.files.images import Picture
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.line_file import LineFile
from segrt.runtime.outputs.output_files import check_file
from segrt.runtime.outputs.result_lines import line_of
from segrt.runtime.outputs.rotation import RotatedFiles, written_with_rotation
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo


class JsonlSink(Sink):
    """Writes `path`, a JSON object on each line: source, index, pts, size [H, W] and what `describe` says.

    Every line is handed to the system at once, so a killed process leaves complete lines. Files are named and rotated
    by `RotatedFiles`. What an earlier run has written is not continued, for `index` and `pts` begin anew.
    """

    forms: ClassVar = {"FILE.jsonl": ""}
    name = "jsonl"

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        check_file(path)
        options = options or SinkOptions()
        self._files = RotatedFiles(path, options)
        self._masks = options.rle
        self._file: LineFile | None = None

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:  # noqa: ARG003 (lines name their source)
        """Return the file, and those that it is rotated into."""
        return written_with_rotation(Path(spec))

    def open(self, sources: Sequence[SourceInfo]) -> None:  # noqa: ARG002 (lines name their source)
        """Create the file."""
        if self._file is not None:
            self._file.release()
        self._file = LineFile(self._files.next())

    def reopen(self) -> None:
        """Go on behind the last complete line; begin a new file where there is none, or it was deleted or replaced."""
        self._files.prune()
        if self._file is not None and self._file.size and self._file.stands():
            self._file.reopen()
        else:
            self.open(())

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Append the frame's line."""
        if self._file is not None and self._files.due(frame.pts):
            self.open(())
            self._files.due(frame.pts)  # notes when it begins
        assert self._file is not None
        self._file.append(encode_json(line_of(frame, result, masks=self._masks)))

    def written(self) -> Sequence[Path]:
        """Return the files of lines."""
        return self._files.begun

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.release()
