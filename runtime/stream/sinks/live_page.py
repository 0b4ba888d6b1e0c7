"""Results as a live page in the browser."""

import re
import secrets
import socket
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.uri import redact
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo
from segrt.runtime.stream.stage_thread import start

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder
    from segrt.runtime.zones.zone_totals import Tallies

_UNSENT_MS = 20_000  # after which the kernel gives up on a browser that takes nothing
_STOP_SECONDS = 1.0
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,}")
_PACKAGES = ("uvicorn", "h11", "starlette", "prometheus_client", "anyio")


class PageSink(Sink):
    """Serves a live page at `http://HOST:PORT`, with the run's metrics; port 0 takes a free one.

    Reachable from elsewhere than this machine (http://0.0.0.0:8080) only with a token, and from this machine, too,
    where `SinkOptions.edits` lets zones be saved: `http://…/?token=…` or `SinkOptions.token` sets it, else one is made.
    `address` is what to open, with the token if it was made here.
    """

    forms: ClassVar = {"http://HOST:PORT": "a live page"}
    needs = Needs("live page and metrics (http:// sinks)", ("starlette", "uvicorn", "prometheus-client"), "web")
    name = "http"
    keeps = False
    serves = True

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:
        try:
            from segrt.runtime.stream.web import admission
            from segrt.runtime.stream.web.access import Guard, is_loopback
            from segrt.runtime.stream.web.app import ASKING, CHANGING, make_app
            from segrt.runtime.stream.web.frame_message import message
            from segrt.runtime.stream.web.hub import MOST_CLIENTS, Hub
            from segrt.runtime.stream.web.server import PageServer
            from segrt.runtime.stream.web.video_feed import VideoFeed
            from segrt.runtime.stream.web.video_peers import MOST_PEERS, Peers
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in _PACKAGES:
                raise
            raise VideoError(f"sink {redact(uri)}: needs the web server; pip install 'segrt[web]'") from None
        host, port, token = _read(uri)
        self._socket = _listen(uri, host, port)
        port = int(self._socket.getsockname()[1])
        token = token or (options.token if options else None)
        room = admission.budget(self._socket.fileno())
        try:
            if room is None:
                raise VideoError(
                    f"sink {redact(uri)}: too few descriptors are free for its connections; raise the limit "
                    "(ulimit -n, systemd's LimitNOFILE=)"
                )
            if token is not None and not _TOKEN.fullmatch(token):
                raise VideoError(f"sink {redact(uri)}: the token must be 8 or more letters, digits, - and _")
        except VideoError:
            self._socket.close()
            raise
        edits = options is not None and options.edits
        made = secrets.token_urlsafe(16) if token is None and (edits or not is_loopback(host)) else None
        token = token or made
        shown = f"[{host}]" if ":" in host else host
        # A token that was given is a secret, which is not repeated to a terminal or journal.
        self.address = f"http://{shown}:{port}/" + (f"?token={made}" if made else "?token=***" if token else "")
        self._hub = Hub(message, min(MOST_CLIENTS, room.connections // 2), self._tallies)
        self._recorder: Recorder | None = None
        self._peers = Peers(min(MOST_PEERS, room.connections // 8), lambda *place: self._feed.ask_for_key(*place))
        self._feed = VideoFeed(self._peers.watched, self._peers.deliver)
        made_app = make_app(self._hub, lambda: self._recorder, self._peers)
        changing = CHANGING if edits else {}
        app: Any = Guard(made_app, host=host, port=port, token=token, changing=changing, asking=ASKING)
        self._make_server = partial(PageServer, app, self._socket, room, self._peers.close)
        self._server = self._make_server()
        self._thread: threading.Thread | None = None

    def watch(self, recorder: "Recorder", name: str) -> None:  # noqa: ARG002
        """Take what /metrics shows."""
        self._recorder = recorder

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Begin to serve."""
        self._hub.start([source.source_id for source in sources])
        self._begin()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Show a result to whoever watches."""
        if self._thread is None or not self._thread.is_alive():
            raise VideoError("the live page's server has ended")
        if not self._peers.watched(frame.source_id):
            self._hub.publish(frame, result)
            self._feed.rest(frame.source_id)
            return
        ticks = self._feed.ticks_of(frame)
        self._hub.publish(frame, result, ticks)
        self._feed.publish(frame, ticks)

    def reopen(self) -> None:
        """Begin to serve again, if the server has stopped."""
        if self._thread is None or not self._thread.is_alive():
            self._server = self._make_server()
            self._begin()

    def close(self) -> None:
        """Send the browsers away and stop."""
        self._hub.close()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
            if self._thread.is_alive():
                self._server.force_exit = True
                self._thread.join(_STOP_SECONDS)
        self._feed.close()
        self._socket.close()

    def _tallies(self, source_id: str) -> "Tallies | None":
        """Return what zones of a source have counted, None in a run without."""
        zones = None if self._recorder is None else self._recorder.zones
        return None if zones is None else zones.tallies(source_id)

    def _begin(self) -> None:
        thread = threading.Thread(target=self._server.run, name="segrt live page", daemon=True)
        start(thread)
        self._thread = thread


def _read(uri: str) -> tuple[str, int, str | None]:
    """Return host, port and token of the page's address."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path.strip("/"):
        raise VideoError(f"sink {redact(uri)}: must be http://HOST:PORT, http://127.0.0.1:8080 for instance")
    return host, port, next(iter(parse_qs(parts.query).get("token", [])), None)


def _listen(uri: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNSENT_MS)
        listening.bind((host, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise VideoError(f"sink {redact(uri)}: cannot listen there ({reason}); choose another port or host") from None
    listening.setblocking(False)
    return listening
