"""Video that is pushed over SRT by GStreamer's srtsink, where PyAV's FFmpeg has no SRT: that of most of its wheels."""

from typing import Any

import av
import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact_error
from segrt.runtime.outputs.encoders.encoded import Encoded
from segrt.runtime.outputs.gstreamer_bindings import start
from segrt.runtime.stream.sinks.leaving.outlet import Outlet
from segrt.runtime.stream.sinks.leaving.target import Target
from segrt.runtime.stream.sinks.leaving.transport_stream import TransportStream

PACKAGES = (
    "python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-bad"
)
_MESSAGE_BYTES = 7 * 188  # whole packets of the transport stream, as many as SRT's messages hold
_MOST_WAITING = 4 << 20  # bytes
_CONNECT_SECONDS = 5.0


def has_srt() -> bool:
    """Say whether PyAV's FFmpeg was built with SRT: 15.1 has it, 16 to 18 have not."""
    try:
        av.open("srt://127.0.0.1:1?mode=caller&connect_timeout=1", timeout=1.0).close()
    except av.error.ProtocolNotFoundError:
        return False
    except (av.error.FFmpegError, OSError):
        return True
    return True


def check_srtsink(shown: str) -> None:
    """Raise VideoError, naming the sink, where GStreamer lacks what is needed."""
    gst = start(f"sink {shown}", PACKAGES)
    if gst.ElementFactory.find("srtsink") is None:
        raise VideoError(
            f"sink {shown}: neither this PyAV nor this GStreamer has SRT; sudo apt-get install gstreamer1.0-plugins-bad"
        )


class SrtOutlet(Outlet):
    """An MPEG transport stream over SRT, made by PyAV and sent by GStreamer."""

    def __init__(self, target: Target, uri: str, options: dict[str, str]) -> None:
        self._gst = start(f"sink {target.shown}", PACKAGES)
        self._target, self._uri, self._options = target, uri, options
        self._pipeline: Any = None
        self._source: Any = None
        self._stream: TransportStream | None = None
        self._number = -1

    def wants_key(self) -> bool:
        """Say whether there is no connection."""
        return self._pipeline is None

    def send(self, encoded: Encoded, stream: int) -> None:
        """Send one picture; raise VideoError when the target is away."""
        if self._pipeline is not None and stream != self._number:
            self.close()
        if self._pipeline is None:
            if not encoded.is_key:
                return
            self._connect()
            self._stream, self._number = TransportStream(encoded), stream
        assert self._stream is not None
        self._push(self._stream.mux(encoded))
        self._check()

    def restart(self) -> None:
        """Drop the connection."""
        self.close()

    def close(self) -> None:
        """End the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.set_state(self._gst.State.NULL)

    def _connect(self) -> None:
        gst = self._gst
        self._pipeline = gst.Pipeline.new(None)
        self._source, sink = gst.ElementFactory.make("appsrc"), gst.ElementFactory.make("srtsink")
        host = f"[{self._target.host}]" if ":" in self._target.host else self._target.host
        sink.set_property("uri", f"srt://{host}:{self._target.port}?mode=caller")
        for name, value in self._options.items():
            sink.set_property(name, int(value) if value.isdigit() and name != "passphrase" else value)
        sink.set_property("sync", False)
        sink.set_property("wait-for-connection", True)
        for name, value in (("is-live", True), ("format", gst.Format.TIME), ("max-bytes", _MOST_WAITING)):
            self._source.set_property(name, value)
        for element in (self._source, sink):
            self._pipeline.add(element)
        self._source.link(sink)
        self._pipeline.set_state(gst.State.PLAYING)
        self._check(_CONNECT_SECONDS)

    def _push(self, data: bytes) -> None:
        if self._source.get_property("current-level-bytes") > _MOST_WAITING:
            raise self._failed("it takes nothing")
        for at in range(0, len(data), _MESSAGE_BYTES):
            self._source.emit("push-buffer", self._gst.Buffer.new_wrapped(data[at : at + _MESSAGE_BYTES]))

    def _check(self, seconds: float = 0.0) -> None:
        """Raise VideoError where the pipeline has failed, within so many seconds of its start."""
        kinds = self._gst.MessageType  # a warning says that it tries to connect again, which is ours to do and count
        failures = kinds.ERROR | kinds.WARNING | kinds.EOS
        wait = int(seconds * self._gst.SECOND)
        message = self._pipeline.get_bus().timed_pop_filtered(wait, failures | (kinds.ASYNC_DONE if wait else failures))
        if message is None or message.type == kinds.ASYNC_DONE:
            return
        if message.type == kinds.ERROR:
            raise self._failed(str(message.parse_error()[0].message))
        raise self._failed(str(message.parse_warning()[0].message) if message.type == kinds.WARNING else "it has ended")

    def _failed(self, reason: str) -> VideoError:
        self.close()
        said = redact_error(reason, self._uri)
        return VideoError(f"{self._target.shown}: cannot be sent to ({said}); it is tried again")
