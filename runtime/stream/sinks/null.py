"""A sink that keeps nothing: for measurements, and for checks that a source can be read."""

from segrt.runtime.files.images import Picture
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink


class NullSink(Sink):
    """Drops every result."""

    name = "null"

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
