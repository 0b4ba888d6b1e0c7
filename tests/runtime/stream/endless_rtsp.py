"""A hostile RTSP camera on loopback, whose picture never ends, and its reader: `python endless_rtsp.py h264|h265|vp8`.

Prints the growth of this process's memory in MiB and what the reader said. It ends by itself within ten seconds.
"""

import importlib
import resource
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.sources.live import LiveOptions
from segrt.runtime.stream.sources.network_camera import NetworkSource

_SDP = """v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=camera\r
c=IN IP4 0.0.0.0\r
t=0 0\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 {name}/90000\r
{format}a=control:track1\r
"""
_PARAMETERS = (
    "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0IAKeKQFoHsgA==,aM48gA==; profile-level-id=420029\r\n"
)
_ANSWERS = {
    "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
    "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
    "PLAY": "Session: 1\r\n",
}
# The header of a fragment that begins a key frame, and of one that goes on with it.
_FRAGMENTS = {
    "h264": (b"\x7c\x85", b"\x7c\x05"),
    "h265": (b"\x62\x01\x93", b"\x62\x01\x13"),
    "vp8": (b"\x10\x10\x02\x00\x9d\x01\x2a\xa0\x00\x78\x00", b"\x00"),
}


def serve(connection: socket.socket, codec: str) -> None:
    """Answer until PLAY, then send fragments of one picture."""
    lines = connection.makefile("rb")
    verb = ""
    while verb != "PLAY":
        head = []
        while line := lines.readline().strip():
            head.append(line.decode())
        if not head:
            return
        verb = head[0].split()[0]
        number = next(line for line in head if line.startswith("CSeq"))
        body, extra = "", _ANSWERS.get(verb, "")
        if verb == "DESCRIBE":
            body = _SDP.format(name=codec.upper(), format=_PARAMETERS if codec == "h264" else "")
            extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"RTSP/1.0 200 OK\r\n{number}\r\n{extra}\r\n{body}".encode())
    first, further = _FRAGMENTS[codec]
    end, count = time.monotonic() + 45, 0  # it has to be given up long before
    with suppress(OSError):
        while time.monotonic() < end:
            packet = struct.pack(">BBHII", 0x80, 96, count & 0xFFFF, 90000, 1) + (further if count else first)
            packet += b"\x55" * 60000
            connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
            count += 1


def main(codec: str) -> None:
    """Serve and read once."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0], codec), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    importlib.import_module("segrt.runtime.stream.sources.packets")  # FFmpeg itself is not to be counted
    camera = NetworkSource(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/camera", "camera", LiveOptions())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    try:
        feed = camera._connect()
        while True:
            feed.read()
    except VideoError as error:
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        print(grown, f"{time.monotonic() - start:.1f}", error)


if __name__ == "__main__":
    main(sys.argv[1])
