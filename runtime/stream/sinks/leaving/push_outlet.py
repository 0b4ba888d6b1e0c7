"""Video that is pushed to a server by PyAV: RTSP (RECORD), RTMP, and SRT where its FFmpeg has that."""

import io
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact_error
from segrt.runtime.outputs.encoders.encoded import TICKS, Encoded
from segrt.runtime.stream.clips.packet_ring import add_like
from segrt.runtime.stream.sinks.leaving.outlet import Outlet
from segrt.runtime.stream.sinks.leaving.target import Target
from segrt.runtime.stream.sinks.leaving.target_sockets import TargetSockets

_FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
_OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp"},
    "flv": {"flvflags": "no_duration_filesize", "flush_packets": "1"},
    "mpegts": {"flush_packets": "1"},
}
_OPEN_SECONDS = 8.0
_CLOSE_SECONDS = 1.0
_FAILURES = (av.error.FFmpegError, OSError, ValueError)


class PushOutlet(Outlet):
    """Connects with the first key picture, and again with the next one after a failure.

    `uri` is the address as FFmpeg takes it, where that is not the target's own.
    """

    def __init__(self, target: Target, uri: str = "") -> None:
        self._target = target
        self._uri = uri or target.uri
        self._sockets = TargetSockets(target.host, target.port)
        self._container: Any = None
        self._stream: Any = None
        self._number = -1
        self._first = 0

    def wants_key(self) -> bool:
        """Say whether there is no connection."""
        return self._container is None

    def send(self, encoded: Encoded, stream: int) -> None:
        """Send one picture; raise VideoError when the server is away or takes nothing."""
        if self._container is not None and stream != self._number:
            self.close()
        if self._container is None:
            if not encoded.is_key:
                return
            self._connect(encoded, stream)
        packet = av.Packet(encoded.data)
        packet.stream, packet.time_base = self._stream, Fraction(1, TICKS)
        packet.pts = packet.dts = encoded.ticks - self._first
        packet.is_keyframe = encoded.is_key
        try:
            self._container.mux(packet)
        except _FAILURES as error:
            raise self._failed(error) from None

    def restart(self) -> None:
        """Drop the connection that failed."""
        self._drop()

    def close(self) -> None:
        """Say good-bye to the server, who has a second to hear it."""
        container, self._container = self._container, None
        if container is not None:
            with suppress(*_FAILURES), self._sockets.bounded(_CLOSE_SECONDS):
                container.close()
        self._sockets.release()

    def _connect(self, encoded: Encoded, stream: int) -> None:
        form = _FORMATS[self._target.scheme]
        container: Any = None
        try:
            self._sockets.resolve()
            with self._sockets.bounded(_OPEN_SECONDS):
                container = av.open(self._uri, "w", format=form, container_options=_OPTIONS[form])
                with av.open(io.BytesIO(encoded.data), format="h264") as template:
                    self._stream = add_like(container, template.streams.video[0])
                container.start_encoding()
        except _FAILURES as error:
            reason = self._failed(error, container)
            raise reason from None
        self._container = container
        self._number, self._first = stream, encoded.ticks
        self._sockets.claim()

    def _failed(self, error: BaseException, container: Any = None) -> VideoError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if self._sockets.hung:
            reason = f"it has not answered for {_OPEN_SECONDS:g} s"
        self._container = self._container or container
        self._drop()
        said = redact_error(reason, self._uri)
        return VideoError(f"{self._target.shown}: cannot be sent to ({said}); it is tried again")

    def _drop(self) -> None:
        """Let go of a connection without waiting: what is written for its end goes nowhere."""
        container, self._container = self._container, None
        self._sockets.shut()
        self._sockets.release()
        if container is not None:
            with suppress(*_FAILURES):
                container.close()
