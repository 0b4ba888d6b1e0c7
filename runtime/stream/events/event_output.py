"""The interface of what takes events."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from segrt.runtime.files.uri import scheme_of
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.stream.needs import Needs

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder


class EventOutput(ABC):
    """Takes events, each as one line of JSON. It never holds up the frames: what takes long has a thread of its own.

    Construction, with what names it and `SinkOptions`, checks what can be checked and raises SegrtError; nothing is
    begun before `begin`. All calls come from one thread.
    """

    forms: ClassVar[Mapping[str, str]] = {}
    """How it is written on the command line → what the help adds in brackets, "" for nothing."""
    needs: ClassVar[Needs | None] = None
    """Packages beyond segrt's own, if there are any."""

    name: str
    """What it is called in metrics."""
    path: Path | None = None
    """The file that was named, for those that write one."""

    @classmethod
    def files(cls, spec: str) -> WrittenFiles:
        """Return what the output that `spec` names writes."""
        return WrittenFiles() if scheme_of(spec) else WrittenFiles(Path(spec))

    @abstractmethod
    def begin(self, recorder: "Recorder", name: str, *, live: bool) -> None:
        """Begin; `recorder` is where deliveries, losses and failures are counted under `name`; `live` as in sinks."""

    @abstractmethod
    def put(self, line: bytes, pts: float | None) -> None:
        """Take an event, JSON without a line feed, of the frame at `pts` seconds."""

    def written(self) -> Sequence[Path]:
        """Return the files that it has begun in this run."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Deliver what waits, within a moment, and end. Closing twice does nothing."""
