"""Events as JSON lines: each complete or absent, whatever ends the run."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from segrt.runtime.errors import SegrtError
from segrt.runtime.outputs.line_file import LineFile
from segrt.runtime.outputs.output_files import check_file
from segrt.runtime.outputs.rotation import RotatedFiles, written_with_rotation
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.events.event_output import EventOutput

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder

log = logging.getLogger("segrt.stream")


class EventLines(EventOutput):
    """Writes `path`, named and rotated as the JSON-lines sink's; each line is handed to the system at once.

    Of a live stream, a disk that fails loses events, which is counted and said, until it works again; else what cannot
    be written ends the run.
    """

    forms: ClassVar = {"FILE.jsonl": ""}
    name = "events jsonl"

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        check_file(path)
        self.path: Path = path
        self._options = options or SinkOptions()
        self._files = RotatedFiles(path, self._options)
        self._live = False
        self._file: LineFile | None = None
        self._recorder: Recorder | None = None
        self._label = self.name
        self._backoff = Backoff()
        self._again_at: float | None = None
        self._lost = 0

    @classmethod
    def files(cls, spec: str) -> WrittenFiles:
        """Return the file, and those that it is rotated into."""
        return written_with_rotation(Path(spec))

    def begin(self, recorder: "Recorder", name: str, *, live: bool) -> None:
        """Create the file."""
        self._recorder, self._label, self._live = recorder, name, live
        self._files = RotatedFiles(self.path, replace(self._options, live=live))
        try:
            self._open()
        except SegrtError as error:
            self._failed(error)

    def put(self, line: bytes, pts: float | None) -> None:
        """Append the line."""
        if self._again_at is not None and time.monotonic() < self._again_at:
            self._lose()
            return
        try:
            if self._again_at is not None and self._file is not None and self._file.size and self._file.stands():
                self._file.reopen()
            elif self._again_at is not None or self._file is None or self._files.due(pts):
                self._open()
            assert self._file is not None
            self._files.due(pts)  # notes when it begins
            self._file.append(line)
        except SegrtError as error:
            self._failed(error)
            self._lose()
            return
        if self._again_at is not None:
            log.warning("%s: works again; %d events are lost", self._label, self._lost)
            self._again_at, self._lost = None, 0
            self._backoff.reset()
        if self._recorder is not None:
            self._recorder.sink(self._label, written=1)

    def written(self) -> Sequence[Path]:
        """Return the files of lines."""
        return self._files.begun

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.release()

    def _open(self) -> None:
        if self._file is not None:
            self._file.release()
        self._file = LineFile(self._files.next())

    def _failed(self, error: SegrtError) -> None:
        if not self._live:
            raise error
        if self._again_at is None:
            log.warning("%s: %s", self._label, error)
            if self._recorder is not None:
                self._recorder.sink(self._label, failures=1)
        self._again_at = time.monotonic() + self._backoff.next()

    def _lose(self) -> None:
        self._lost += 1
        if self._recorder is not None:
            self._recorder.sink(self._label, dropped=1)
