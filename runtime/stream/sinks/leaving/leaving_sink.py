"""What the sinks of video that leaves have in common: an encoder and an outlet for each source."""

import threading
import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.encoders.encoded import TICKS
from segrt.runtime.outputs.encoders.h264_encoders import h264_here
from segrt.runtime.outputs.encoders.live_encoder import LiveEncoder
from segrt.runtime.outputs.output_files import names_of_sources
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.video_writer import Clock
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.leaving.outlet import Outlet
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo

_LONGEST_WAIT = 30.0  # seconds for a picture that is not due yet: more is a leap of its clock
_DEFAULT_RATE = Fraction(25)


class LeavingSink(Sink):
    """Encodes the drawn pictures of each source once, and hands them to its outlet.

    With `paced`, pictures of files leave at their own speed, as a camera's do.
    """

    needs_drawing = True
    paced = True

    def __init__(self, shown: str, options: SinkOptions | None = None) -> None:
        """Raise VideoError, naming the sink as `shown`, where nothing here encodes H.264."""
        if not h264_here():
            raise VideoError(f"sink {shown}: nothing here encodes H.264; install PyAV from PyPI (pip install av)")
        self._shown = shown
        self._options = options or SinkOptions()
        self._tracks: dict[str, _Track] = {}

    @abstractmethod
    def _outlet(self, name: str) -> Outlet:
        """Return the outlet of a source, `name` being what tells it from others, "" of a single one."""

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Prepare an encoder and an outlet for each source."""
        names = names_of_sources([source.source_id for source in sources])
        paced = self.paced and not self._options.live
        for source in sources:
            outlet = self._outlet(names[source.source_id])
            self._tracks[source.source_id] = _Track(outlet, source.rate, self._shown, paced=paced)

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Encode the drawn frame and send it."""
        assert drawn is not None
        self._tracks[frame.source_id].write(drawn, frame.pts)

    def reopen(self) -> None:
        """Let what failed begin anew with the next frame."""
        for track in self._tracks.values():
            track.restart()

    def close(self) -> None:
        """Finish every outlet, also when one of them fails."""
        with ExitStack() as tracks:
            for track in self._tracks.values():
                tracks.callback(track.close)


class _Track:
    """One source's way: the clock of its pictures, its encoder and its outlet."""

    def __init__(self, outlet: Outlet, rate: Fraction | None, shown: str, *, paced: bool) -> None:
        self._outlet, self._shown, self._paced = outlet, shown, paced
        self._encoder = LiveEncoder(rate)
        self._clock = Clock(rate or _DEFAULT_RATE)
        self._began: float | None = None
        self._closed = threading.Event()
        self._failed = False

    def write(self, picture: Picture, pts: float | None) -> None:
        ticks = self._clock.ticks(pts)
        if self._paced:
            self._wait(ticks / TICKS)
        if not self._outlet.is_wanted():
            self._encoder.close()  # costs nothing until somebody comes; then a key picture is the first
            return
        if self._outlet.wants_key():
            self._encoder.ask_for_key()
        try:
            for encoded in self._encoder.encode(picture, ticks):
                self._outlet.send(encoded, self._encoder.stream)
        except SegrtError:
            self._failed = True
            raise

    def restart(self) -> None:
        if self._failed:
            self._failed = False
            self._encoder.ask_for_key()
            self._outlet.restart()

    def close(self) -> None:
        self._closed.set()
        self._encoder.close()
        self._outlet.close()

    def _wait(self, seconds: float) -> None:
        """Wait until the picture of `seconds` after the first is due, or the sink is closed."""
        now = time.monotonic()
        if self._began is None:
            self._began = now - seconds
        self._began = min(self._began, now + _LONGEST_WAIT - seconds)
        self._closed.wait(max(0.0, self._began + seconds - now))
