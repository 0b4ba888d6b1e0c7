"""A sink that keeps nothing: for measurements, and for checks that a source can be read."""

from collections.abc import Sequence
from typing import ClassVar

from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink


class NullSink(Sink):
    """Drops every result."""

    forms: ClassVar = {"null": "the default"}
    name = "null"
    keeps = False

    def __init__(self, spec: str = "null", options: SinkOptions | None = None) -> None:
        """Take what every sink is made with, and need nothing of it."""

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:  # noqa: ARG003
        """Return nothing: it writes none."""
        return WrittenFiles()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
