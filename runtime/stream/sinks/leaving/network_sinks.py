"""The sinks whose video leaves over the network: `rtsp://` served here or pushed, `rtmp://` and `srt://` pushed."""

import logging
from collections.abc import Sequence
from typing import ClassVar

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.stream.sinks.leaving.leaving_address import (
    SERVED,
    read_pushed,
    read_served,
    read_srt,
    serves,
    srt_uri,
)
from segrt.runtime.stream.sinks.leaving.leaving_sink import LeavingSink
from segrt.runtime.stream.sinks.leaving.outlet import Outlet
from segrt.runtime.stream.sinks.leaving.push_outlet import PushOutlet, libav_pusher
from segrt.runtime.stream.sinks.leaving.rtsp_serving import RtspServer
from segrt.runtime.stream.sinks.leaving.srt_ways import gstreamer_pusher, has_srt
from segrt.runtime.stream.sources.source import SourceInfo

log = logging.getLogger("segrt.stream")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class RtmpSink(LeavingSink):
    """Pushes the overlay to the server at `rtmp://HOST/APP/KEY`, `rtmps://…`; of several sources each to KEY-SOURCE."""

    forms: ClassVar = {"rtmp://HOST/APP/KEY": "pushed there"}

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:
        self._target = read_pushed(uri)
        self.name = self._target.scheme
        super().__init__(self._target.shown, options)

    def _outlet(self, name: str) -> Outlet:
        return PushOutlet(self._target.named(name))


class RtspsSink(RtmpSink):
    """Pushes the overlay over TLS to the server at `rtsps://HOST/NAME`; of several sources each to NAME-SOURCE."""

    forms: ClassVar = {"rtsps://HOST/NAME": "pushed there"}


class SrtSink(LeavingSink):
    """Pushes the overlay of one source to `srt://HOST:PORT?latency=120&streamid=…&passphrase=…`, as a caller."""

    forms: ClassVar = {"srt://HOST:PORT": "pushed there"}
    name = "srt"

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:
        self._target = target = read_pushed(uri)
        self._given = read_srt(target)
        super().__init__(target.shown, options)
        milliseconds = self._given.get("latency")
        if has_srt():
            of_libav = {} if milliseconds is None else {"latency": str(int(milliseconds) * 1000)}
            self._pusher = libav_pusher(target, srt_uri(target, {**self._given, **of_libav}))
        else:
            self._pusher = gstreamer_pusher(target, self._given)

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:
        """Return nothing; raise VideoError where more sources are given than an SRT address has places for."""
        if len(source_ids) > 1:
            raise VideoError(f"sink {redact(spec)}: takes one source, but there are {len(source_ids)}; push over RTSP")
        return WrittenFiles()

    def _outlet(self, name: str) -> Outlet:  # noqa: ARG002 (there is one)
        return PushOutlet(self._target, self._pusher)


class RtspSink(LeavingSink):
    """Serves the overlay at `rtsp://HOST:PORT/NAME?listen=1`, or pushes it to any other `rtsp://` address.

    A wildcard host, 0.0.0.0 or [::], asks to serve, too. Of several sources each is at NAME-SOURCE.
    """

    forms: ClassVar = {SERVED: "served here", "rtsp://HOST/NAME": "pushed there"}
    name = "rtsp"

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:
        self._server: RtspServer | None = None
        listens = serves(uri)
        self._target = read_served(uri) if listens else read_pushed(uri)
        super().__init__(self._target.shown, options)
        if not listens:
            return
        self.serves, self.keeps = True, False
        self._server = RtspServer(self._target)
        host = f"[{self._target.host}]" if ":" in self._target.host else self._target.host
        user = "***@" if self._target.user else ""
        self.address = f"rtsp://{user}{host}:{self._server.port}{self._target.path}"
        if not self._target.user and self._target.host not in _LOOPBACK:
            log.warning(
                "sink %s: whoever reaches this port may watch; rtsp://USER:PASSWORD@... asks for them",
                self._target.shown,
            )

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Prepare each source's place, and begin to serve."""
        super().open(sources)
        if self._server is not None:
            self._server.run()

    def reopen(self) -> None:
        """Begin anew; raise VideoError where the server has ended."""
        super().reopen()
        if self._server is not None and not self._server.is_running():
            self._server.run()

    def close(self) -> None:
        """Finish every outlet, and stop to serve."""
        try:
            super().close()
        finally:
            server, self._server = self._server, None
            if server is not None:
                server.close()

    def _outlet(self, name: str) -> Outlet:
        target = self._target.named(name)
        return PushOutlet(target) if self._server is None else self._server.mount(target.path)
