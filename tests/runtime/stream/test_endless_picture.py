"""A camera whose picture never ends gets no more memory than a picture may have."""

import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own, since memory is measured: serve it on loopback for ten seconds at most, and read.
SCRIPT = """
import resource, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import numpy as np
from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import encode_image
from segrt.runtime.stream.sources.packets import PacketFeed

kind, length, good = sys.argv[1], sys.argv[2], int(sys.argv[3])
part = b"--b\\r\\nContent-Type: image/jpeg\\r\\n" + length.encode() + b"\\r\\n" if kind.startswith("multipart") else b""
picture = encode_image(np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8), ".jpg")

class Camera(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        end = time.monotonic() + 10
        try:
            for _ in range(good):
                self.wfile.write(part + picture + b"\\r\\n")
            self.wfile.write(part + picture[:-2])
            while time.monotonic() < end:
                self.wfile.write(b"\\x55" * 65536)
        except OSError:
            pass

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pictures = 0
try:
    feed = PacketFeed(f"http://127.0.0.1:{server.server_port}/", timeout=5.0)
    while True:
        assert feed.read().picture.shape == (120, 160, 3)
        pictures += 1
except VideoError as error:
    print(pictures, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


@pytest.mark.parametrize(
    ("kind", "length", "good"),
    [
        ("multipart/x-mixed-replace; boundary=b", "", 5),
        ("multipart/x-mixed-replace; boundary=b", "Content-Length: 2000000000\r\n", 0),
        ("image/jpeg", "", 0),
    ],
)
def test_a_picture_without_an_end_is_given_up_within_64_mib(kind: str, length: str, good: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, length, str(good)], capture_output=True, text=True, timeout=60, check=True
    )
    pictures, megabytes, why = done.stdout.split(maxsplit=2)
    assert int(pictures) >= good - 1
    assert int(megabytes) <= 64
    assert "more than 24 MiB without the end of a picture" in why
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone counts a connection's bytes")
@pytest.mark.parametrize("codec", ["h264", "h265", "vp8"])
def test_an_rtsp_picture_without_an_end_is_given_up_within_64_mib(codec: str) -> None:
    camera = Path(__file__).with_name("endless_rtsp.py")
    done = subprocess.run([sys.executable, camera, codec], capture_output=True, text=True, timeout=60, check=True)
    megabytes, _, why = done.stdout.split(maxsplit=2)
    assert int(megabytes) <= 64
    assert "more than 12 MiB without the end of a picture" in why
    assert done.stderr == ""
