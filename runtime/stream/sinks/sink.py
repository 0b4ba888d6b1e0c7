"""The interface of every sink."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.uri import scheme_of
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sources.source import SourceInfo

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder


class Dropped(Exception):  # noqa: N818 (not an error: the sink works, but its own queue is full)
    """This result was dropped by the sink."""


class Sink(ABC):
    """Takes every frame's result. All calls but construction come from one thread of the sink's own.

    Construction checks what can be checked (that a folder can be written) and raises SegrtError; nothing is written
    before the first result. A kind that is registered in `sink_kinds.SINKS` is constructed with what names it, a path
    or a URI, and `SinkOptions`; its class also says what help, checks of outputs, doctor and deployments ask of it.
    """

    forms: ClassVar[Mapping[str, str]] = {}
    """How it is written on the command line → what the help adds in brackets, "" for nothing.

    Empty for FILE.SUFFIX or SCHEME://..., as it is registered.
    """
    needs: ClassVar[Needs | None] = None
    """Packages beyond segrt's own, if there are any."""

    name: str
    """What the sink is, for metrics: "mp4", "jsonl"; without credentials."""
    address = ""
    """Where people can look at it, for those that serve something."""
    keeps = True
    """Whether results are there afterwards: in a file, or with whoever they were sent to."""
    serves = False
    """Whether others ask it or wait for its word: then it is opened at once, also while no camera is there."""
    needs_drawing = False
    """Whether `write` wants the drawn picture. It is drawn once for all sinks, and only if one needs it."""

    techniques: tuple[str, ...] | None = None
    """Whose results it can write: "semantic", "instance", "panoptic"; None for all."""

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:  # noqa: ARG003 (some name files by source)
        """Return what the sink that `spec` names writes for these sources, by default the file of that path.

        Asked before it is opened, to refuse what would overwrite a source or another output.
        """
        return WrittenFiles() if scheme_of(spec) else WrittenFiles(Path(spec))

    def watch(self, recorder: "Recorder", name: str) -> None:  # noqa: B027 (few sinks care)
        """Take the run's metrics, and the sink's name in them; called once, before `open`."""

    def reopen(self) -> None:
        """Begin again after a failed `write` or `open`; raise SegrtError as long as that is not possible."""
        raise VideoError("cannot begin again after a failure; the other sinks go on")

    def open(self, sources: Sequence[SourceInfo]) -> None:  # noqa: B027 (nothing to do is a fine answer)
        """Take what is known of the sources whose results will come; called once, before the first `write`."""

    @abstractmethod
    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:
        """Take one result; results of one source come in the order of its frames.

        `drawn` is the overlay, uint8 BGR (H, W, 3), or None when `needs_drawing` is false. Raises SegrtError when the
        result cannot be written; what was written before stays valid. Raises Dropped for a result that the sink itself
        left out because it is behind.
        """

    def written(self) -> Sequence[Path]:
        """Return the files and folders of pictures that it has begun in this run; asked when it is closed."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Finish what was written, so that others can read it; called once, also after a failure."""
