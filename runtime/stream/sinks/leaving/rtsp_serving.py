"""An RTSP server on this device, GStreamer's: it packs encoded pictures for as many readers as come."""

import logging
import socket
import threading
import time
from typing import Any

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.encoders.encoded import Encoded
from segrt.runtime.outputs.gstreamer_bindings import library, start
from segrt.runtime.stream.sinks.leaving.leaving_address import Target
from segrt.runtime.stream.sinks.leaving.outlet import Outlet
from segrt.runtime.stream.stage_thread import start as start_thread

log = logging.getLogger("segrt.stream")
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)
MOST_CONNECTIONS = 64
_IDLE_SECONDS = 10.0  # a connection that has set up nothing by then is closed
_LOOK_SECONDS = 2
_STOP_SECONDS = 1.0
_MOST_WAITING = 4 << 20  # bytes before the pipeline that packs them: beyond, pictures are left out up to a key picture
_LAUNCH = (
    "( appsrc name=segrt is-live=true format=time do-timestamp=true "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au "
    "! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
_ELEMENTS = {"appsrc": "gstreamer1.0-plugins-base", "rtph264pay": "gstreamer1.0-plugins-good",
             "h264parse": "gstreamer1.0-plugins-bad"}  # fmt: skip


class RtspServer:
    """Listens at `target` from the start; pictures of each `mount` are packed once, for all of its readers.

    With user and password in the target readers have to give them (basic authentication; there is no TLS). Raises
    VideoError where GStreamer's server is not installed and where the port cannot be had.
    """

    def __init__(self, target: Target) -> None:
        title = f"sink {target.shown}"
        self._gst = gst = start(title, PACKAGES)
        try:
            self._library = served = library("GstRtspServer", "1.0")
            self._glib = glib = library("GLib", "2.0")
        except (ImportError, ValueError):
            raise VideoError(f"{title}: needs GStreamer's RTSP server; sudo apt-get install {PACKAGES}") from None
        lacking = [package for name, package in _ELEMENTS.items() if gst.ElementFactory.find(name) is None]
        if lacking:
            raise VideoError(f"{title}: this GStreamer lacks parts; sudo apt-get install {' '.join(lacking)}")
        port = _try_port(title, target)
        self._target = target
        self._server = server = served.RTSPServer.new()
        server.set_address(target.host)
        server.set_service(str(port))
        self._connections: dict[Any, float] = {}
        self._mounts: list[RtspMount] = []
        self._lock = threading.Lock()
        server.connect("client-connected", self._connected)
        if target.user:
            self._ask_for(target.user, target.password)
        self._context = glib.MainContext.new()
        listening = server.attach(self._context)
        if not listening:
            raise VideoError(f"{title}: cannot listen there; choose another port or host")
        self._listening: Any = self._context.find_source_by_id(listening)
        self.port = int(server.get_bound_port())
        looking = glib.timeout_source_new_seconds(_LOOK_SECONDS)
        looking.set_callback(self._look)
        looking.attach(self._context)
        self._loop = glib.MainLoop.new(self._context, False)
        self._thread: threading.Thread | None = None

    def mount(self, path: str) -> "RtspMount":
        """Return where pictures go that are served at `path`."""
        factory = self._library.RTSPMediaFactory.new()
        factory.set_launch(_LAUNCH)
        factory.set_shared(True)
        if self._target.user:
            permissions = self._library.RTSPPermissions()
            permissions.add_permission_for_role("reader", "media.factory.access", True)
            permissions.add_permission_for_role("reader", "media.factory.construct", True)
            factory.set_permissions(permissions)
        mount = RtspMount(self._gst)
        factory.connect("media-configure", mount.begin)
        self._server.get_mount_points().add_factory(path, factory)
        with self._lock:
            self._mounts.append(mount)
        return mount

    def run(self) -> None:
        """Begin to answer."""
        self._thread = threading.Thread(target=self._loop.run, name="segrt rtsp", daemon=True)
        start_thread(self._thread)

    def is_running(self) -> bool:
        """Say whether it answers."""
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Send the readers away and stop."""
        with self._lock:
            clients = list(self._connections)
        for client in clients:
            client.close()
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.destroy()  # closes the socket
        thread, self._thread = self._thread, None
        if thread is not None:
            self._glib.MainContext.invoke_full(self._context, 0, self._stop)
            thread.join(_STOP_SECONDS)
        self._server = None

    def _stop(self, *_: Any) -> bool:
        self._loop.quit()
        return False

    def _ask_for(self, user: str, password: str) -> None:
        auth = self._library.RTSPAuth.new()
        token = self._library.RTSPToken()
        token.set_string("media.factory.role", "reader")
        auth.add_basic(self._library.RTSPAuth.make_basic(user, password), token)
        self._server.set_auth(auth)

    def _connected(self, _server: Any, client: Any) -> None:
        client.connect("closed", self._closed)
        client.connect("play-request", self._plays)
        with self._lock:
            self._connections[client] = time.monotonic()
            too_many = len(self._connections) > MOST_CONNECTIONS
            waiting = sorted((since, id(one), one) for one, since in self._connections.items() if not _has_session(one))
        if too_many:  # the one that has waited longest; where all of them read, the new one
            (waiting[0][2] if waiting else client).close()

    def _closed(self, client: Any) -> None:
        with self._lock:
            self._connections.pop(client, None)

    def _plays(self, *_: Any) -> None:
        """Let a new reader see something at once."""
        with self._lock:
            mounts = list(self._mounts)
        for mount in mounts:
            mount.ask_for_key()

    def _look(self, *_: Any) -> bool:
        """Close connections that set up nothing, forget readers that are silent."""
        now = time.monotonic()
        with self._lock:
            idle = [client for client, since in self._connections.items() if now - since > _IDLE_SECONDS]
        for client in idle:
            if not _has_session(client):
                client.close()
        server = self._server
        if server is not None:
            server.get_session_pool().cleanup()
        return True


class RtspMount(Outlet):
    """The pictures of one source, for all readers of one path; nothing is wanted while nobody reads."""

    def __init__(self, gst: Any) -> None:
        self._gst = gst
        self._source: Any = None
        self._key = False
        self._behind = False

    def begin(self, _factory: Any, media: Any) -> None:
        """Feed a pipeline that GStreamer has made for the first reader; called from a thread of its own."""
        source = media.get_element().get_by_name("segrt")
        self._key, self._behind = True, True
        media.connect("unprepared", self._end, source)
        self._source = source

    def ask_for_key(self) -> None:
        """Let the next picture be a key picture."""
        self._key = True

    def is_wanted(self) -> bool:
        """Say whether anybody reads."""
        return self._source is not None

    def wants_key(self) -> bool:
        """Say, once, whether there is a new reader."""
        key, self._key = self._key, False
        return key

    def send(self, encoded: Encoded, stream: int) -> None:  # noqa: ARG002 (each stream brings its parameter sets)
        """Hand a picture to GStreamer; what it cannot take is left out, up to a key picture."""
        source = self._source
        if source is None:
            return
        if source.get_property("current-level-bytes") > _MOST_WAITING:
            self._behind = True
            return
        if self._behind and not encoded.is_key:
            self._key = True
            return
        self._behind = False
        if source.emit("push-buffer", self._gst.Buffer.new_wrapped(encoded.data)) != self._gst.FlowReturn.OK:
            self._behind = True  # it ends, and says so by itself

    def restart(self) -> None:
        """Begin with a key picture."""
        self._key = self._behind = True

    def close(self) -> None:
        """End the stream for its readers."""
        source, self._source = self._source, None
        if source is not None:
            source.emit("end-of-stream")

    def _end(self, _media: Any, source: Any) -> None:
        if self._source is source:
            self._source = None


def _has_session(client: Any) -> bool:
    return bool(client.session_filter(None, None))


def _try_port(title: str, target: Target) -> int:
    """Return the port; raise VideoError, with the reason, where it cannot be had."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((target.host, target.port))
            trial.listen(1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise VideoError(f"{title}: cannot listen there ({reason}); choose another port or host") from None
    return target.port
