"""The process that pushes video to a server: run as a file, with packets on its standard input.

PyAV opens an address that is written to while it holds Python's lock, and FFmpeg sets itself no time limits there: a
server that accepts a connection and says nothing would stop every thread of the process. So it has a process of its
own, which whoever feeds it can kill.

Standard input is one line of JSON (`uri`, `format`, `options`), then pictures, each a header of `HEADER` (length,
ticks, whether it is a key picture) and H.264 with start codes; the first is a key picture. Standard output is "ok" when
the server has taken the stream, or the reason why not. Nothing of segrt is imported.
"""

import ctypes
import io
import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from fractions import Fraction
from typing import Any, BinaryIO

HEADER = struct.Struct("<IqB")
TICKS = 90_000
_PR_SET_PDEATHSIG = 1
_UNHEARD_MS = 5000  # after which the kernel gives up on a host that confirms nothing


def main() -> int:
    """Push what comes until it ends; return the exit code."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever fed this process is gone: nothing to wait for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):  # noqa: PTH100, PTH120 (as Python has put it there)
        sys.path.pop(0)  # nobody means the modules of this folder
    try:
        import av
    except ImportError as error:
        return _say(str(error))
    taken = sys.stdin.buffer
    order = json.loads(taken.readline())
    container: Any = None
    try:
        container = av.open(order["uri"], "w", format=order["format"], container_options=order["options"])
        _push(container, taken)
        container.close()
    except Exception as error:  # of whatever kind, it is told, and ends this process alone
        return _say(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    return 0


def _push(container: Any, taken: BinaryIO) -> None:
    """Mux pictures until there are no more."""
    import av

    stream: Any = None
    first = 0
    while (head := taken.read(HEADER.size)) and len(head) == HEADER.size:
        length, ticks, is_key = HEADER.unpack(head)
        data = taken.read(length)
        if stream is None:
            template = av.open(io.BytesIO(data), format="h264")
            stream = _stream_like(container, template.streams.video[0])
            container.start_encoding()
            _limit_sockets()
            first = ticks
            print("ok", flush=True)
        packet = av.Packet(data)
        packet.stream, packet.time_base = stream, Fraction(1, TICKS)
        packet.pts = packet.dts = ticks - first
        packet.is_keyframe = bool(is_key)
        container.mux(packet)


def _stream_like(container: Any, template: Any) -> Any:
    try:
        stream = container.add_stream_from_template(template, opaque=True)
    except TypeError:  # PyAV 14
        stream = container.add_stream_from_template(template)
    stream.codec_context.codec_tag = "\0\0\0\0"
    return stream


def _limit_sockets() -> None:
    """Let connections of this process end when the other host is gone; FFmpeg would wait for a quarter of an hour."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (descriptors, no files)
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as own:
            if own.type == socket.SOCK_STREAM and own.family in (socket.AF_INET, socket.AF_INET6):
                own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MS)


def _say(reason: str) -> int:
    print(" ".join(reason.split()), flush=True)
    return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
