"""Video that is pushed to a server, in a process of its own: by PyAV over RTSP, RTMP, and SRT where it has that."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact_error
from segrt.runtime.outputs.encoders.encoded import Encoded
from segrt.runtime.stream.sinks.leaving import push_child
from segrt.runtime.stream.sinks.leaving.leaving_address import Target
from segrt.runtime.stream.sinks.leaving.outlet import Outlet

_FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
_OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp"},
    "flv": {"flvflags": "no_duration_filesize", "flush_packets": "1"},
    "mpegts": {"flush_packets": "1"},
}
_OPEN_SECONDS = 8.0
_SEND_SECONDS = 5.0
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True)
class Pusher:
    """Who pushes: a file that is run as a process, and what it is told beside the pictures; see `push_child`."""

    file: Path
    order: Mapping[str, Any] = field(repr=False)


def libav_pusher(target: Target, uri: str = "") -> Pusher:
    """Return PyAV; `uri` is the address as FFmpeg takes it, where that is not the target's own."""
    form = _FORMATS[target.scheme]
    order = {"uri": uri or target.uri, "format": form, "options": _OPTIONS[form]}
    return Pusher(Path(push_child.__file__), order)


class PushOutlet(Outlet):
    """Connects with the first key picture, and again with the next one after a failure."""

    def __init__(self, target: Target, pusher: Pusher | None = None) -> None:
        self._target = target
        self._pusher = pusher or libav_pusher(target)
        self._child: subprocess.Popen[bytes] | None = None
        self._number = -1

    def wants_key(self) -> bool:
        """Say whether there is no connection."""
        return self._child is None

    def send(self, encoded: Encoded, stream: int) -> None:
        """Send one picture; raise VideoError when the server is away or takes nothing."""
        if self._child is not None and stream != self._number:
            self.close()
        if self._child is None:
            if encoded.is_key:
                self._connect(encoded)
                self._number = stream
            return
        self._give(_message(encoded), _SEND_SECONDS)

    def restart(self) -> None:
        """Drop the connection that failed."""
        self._drop()

    def close(self) -> None:
        """Say good-bye to the server, who has a second to hear it."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        with suppress(OSError):
            child.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_CLOSE_SECONDS)
        _end(child)

    def _connect(self, encoded: Encoded) -> None:
        try:
            self._child = subprocess.Popen(
                [sys.executable, str(self._pusher.file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise self._failed(f"no process can be started: {error.strerror}") from None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdin.fileno(), False)
        deadline = time.monotonic() + _OPEN_SECONDS
        self._give(json.dumps(self._pusher.order).encode() + b"\n" + _message(encoded), _OPEN_SECONDS)
        said = self._hear(deadline)
        if said != "ok":
            raise self._failed(said or f"it has not answered for {_OPEN_SECONDS:g} s")

    def _give(self, data: bytes, seconds: float) -> None:
        """Hand bytes to the process; raise VideoError when it has ended, or takes nothing for so long."""
        assert self._child is not None
        assert self._child.stdin is not None
        left, pipe = memoryview(data), self._child.stdin.fileno()
        deadline = time.monotonic() + seconds
        while left:
            waits = max(0.0, deadline - time.monotonic())
            if not select.select([], [pipe], [], waits)[1]:
                raise self._failed(f"it has taken nothing for {seconds:g} s")
            try:
                left = left[os.write(pipe, left) :]
            except BlockingIOError:
                continue
            except OSError:  # it has ended, and says why
                raise self._failed(self._last_word()) from None

    def _hear(self, deadline: float) -> str:
        """Return the line that the process says, "" where it says none in time."""
        assert self._child is not None
        assert self._child.stdout is not None
        pipe, heard = self._child.stdout.fileno(), b""
        while not heard.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                break
            if not (part := os.read(pipe, 4096)):
                break
            heard += part
        return heard.decode(errors="replace").strip()

    def _last_word(self) -> str:
        words = self._hear(time.monotonic() + _CLOSE_SECONDS).splitlines()
        return words[-1] if words else "the connection has ended"

    def _failed(self, reason: str) -> VideoError:
        self._drop()
        said = redact_error(redact_error(reason, self._target.uri), str(self._pusher.order["uri"]))
        return VideoError(f"{self._target.shown}: cannot be sent to ({said}); it is tried again")

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            _end(child)


def _message(encoded: Encoded) -> bytes:
    return push_child.HEADER.pack(len(encoded.data), encoded.ticks, encoded.is_key) + encoded.data


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a process, however it hangs, and forget it."""
    if child.poll() is None:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
