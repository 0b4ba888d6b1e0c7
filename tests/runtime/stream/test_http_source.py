"""HTTP streams from a real server: cut off, damaged, hanging, of changing size."""

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import numpy as np
import pytest

from segrt.runtime.files.images import encode_image
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.live import LiveOptions
from segrt.runtime.stream.sources.source_kinds import open_source

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def serve():
    """Serve what a function writes, one function for each connection; the last one again and again."""
    servers = []

    def begin(*answers, kind="video/mp2t"):
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                answer = left.pop(0) if len(left) > 1 else left[0]
                with suppress(OSError):  # the source has hung up
                    answer(self.wfile)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/live"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def opened(uri, **options):
    source = open_source(uri, options=LiveOptions(**options))
    source._backoff = Backoff(0.05, 0.1)
    source.listener = Recorder([source.info.source_id])
    return source


def transport_stream(tmp_path, fakes, count=30, size=(48, 64)):
    noise = [np.random.default_rng(index).integers(0, 255, (*size, 3), np.uint8) for index in range(count)]
    path = fakes.write_video(tmp_path / f"{size[0]}.ts", noise, format="mpegts", options={"g": "5", "bf": "0"})
    return path.read_bytes()


def test_the_end_of_a_live_stream_is_a_failure_not_an_end(tmp_path, fakes, serve, caplog):
    data = transport_stream(tmp_path, fakes)
    source = opened(serve(lambda out: out.write(data)))
    seen = []
    for frame in source.frames():
        seen.append(frame)
        if source._connections == 3:
            source.stop()
    assert source.listener.metrics().reconnects == 2
    assert [frame.index for frame in seen] == list(range(len(seen)))
    assert "the stream has ended" in caplog.text or "the connection is lost" in caplog.text
    times = [frame.pts for frame in seen]
    assert all(after > before for before, after in pairwise(times))


def test_damaged_packets_are_passed_over(tmp_path, fakes, serve):
    data = bytearray(transport_stream(tmp_path, fakes, 60))
    random = np.random.default_rng(0)
    for start in random.integers(len(data) // 4, len(data) // 2, 60):
        data[start : start + 20] = random.bytes(20)
    source = opened(serve(lambda out: out.write(data)))
    seen = 0
    for frame in source.frames():
        assert frame.size == (48, 64)
        seen += 1
        if source._connections == 2:
            source.stop()
    assert seen > 20


def test_a_server_that_hangs_is_left(tmp_path, fakes, serve, caplog):
    data = transport_stream(tmp_path, fakes)
    hanging = threading.Event()

    def hang(out):
        out.write(data)
        out.flush()
        hanging.wait(30)

    source = opened(serve(hang, lambda out: out.write(data)), read_timeout=1.0)
    start = time.monotonic()
    for _ in source.frames():
        if source._connections == 2:
            source.stop()
    hanging.set()
    assert time.monotonic() - start < 15
    assert "nothing came for 1 s" in caplog.text


def test_another_size_after_a_reconnect_is_followed(tmp_path, fakes, serve):
    streams = [transport_stream(tmp_path, fakes, size=size) for size in ((48, 64), (96, 128))]
    source = opened(serve(*[lambda out, data=data: out.write(data) for data in streams]))
    sizes = []
    for frame in source.frames():
        sizes.append(frame.size)
        if frame.size == (96, 128):
            source.stop()
    assert sizes[0] == (48, 64)
    assert sizes[-1] == (96, 128)


def test_motion_jpeg_has_the_times_of_its_arrival(serve):
    def send(out):
        for index in range(200):
            picture = encode_image(np.full((48, 64, 3), index, np.uint8), ".jpg")
            out.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
            out.write(picture + b"\r\n")
            out.flush()
            time.sleep(0.1)

    source = opened(serve(send, kind="multipart/x-mixed-replace; boundary=frame"))
    frames = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == 12:
            source.stop()
    steps = np.diff([frame.pts for frame in frames])[4:]
    assert np.median(steps) == pytest.approx(0.1, abs=0.05)
