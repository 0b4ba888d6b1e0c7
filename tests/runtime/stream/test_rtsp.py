"""A real RTSP server, killed, frozen and started again under a running stream."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream import stream, timecode
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.clips.clip_keeper import ClipKeeper
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources import gstreamer
from segrt.runtime.stream.sources.live import LiveOptions
from segrt.runtime.stream.sources.source_kinds import open_source

pytestmark = pytest.mark.timeout(120)
FPS, SIZE = 10, (192, 320)
SERVER = Path(__file__).with_name("rtsp_server.py")


class Server:
    """The camera of rtsp_server.py on a port of its own."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    def start(self, mode=""):  # noqa: D102
        arguments = [sys.executable, SERVER, str(self.port), str(FPS), str(SIZE[1]), str(SIZE[0]), mode]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"serving\n"

    def signal(self, number):  # noqa: D102
        os.kill(self.process.pid, number)

    def kill(self):  # noqa: D102
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def uri(self, user=""):  # noqa: D102
        return f"rtsp://{user}127.0.0.1:{self.port}/cam"


@pytest.fixture
def server():
    try:
        gstreamer.start("the RTSP server")
        sys.modules["gi"].require_version("GstRtspServer", "1.0")
    except (VideoError, ValueError):
        pytest.skip("needs gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-ugly python3-gi from Debian (apt-get)")
    running = Server()
    yield running
    running.kill()


def test_a_stream_survives_death_and_freezing_of_its_server(server, segmenter, caplog):
    server.start()
    source = open_source(server.uri(), options=LiveOptions(read_timeout=2.0))
    source._backoff = Backoff(0.5, 1.0)
    phases = iter(("kill", "freeze", "end"))
    ages, frames_in_phase, seen = [], 0, 0
    for frame, result in stream(segmenter, source):
        assert (frame.size, result.size) == (SIZE, SIZE)
        seconds = timecode.read(frame.image)
        if seconds is not None:
            ages.append(time.monotonic() - seconds)
        frames_in_phase += 1
        seen += 1
        if frames_in_phase < 8:
            continue
        phase, frames_in_phase = next(phases), 0
        if phase == "kill":
            server.kill()
            threading.Timer(1.0, server.start).start()
        elif phase == "freeze":
            server.signal(signal.SIGSTOP)
            threading.Timer(4.0, server.signal, [signal.SIGCONT]).start()
        else:
            break
    assert source._connections == 3, "two reopenings"
    assert len(ages) > seen * 0.8
    assert sorted(ages)[len(ages) // 2] < 1.0, "at 10 fps, with air for a busy machine"
    assert "nothing came for 2 s" in caplog.text
    assert "connected again (2 reconnects)" in caplog.text


def test_a_hang_is_noticed_in_time(server, caplog):
    server.start()
    source = open_source(server.uri())
    source.listener = Recorder([source.info.source_id])
    frames = source.frames()
    next(frames)
    server.signal(signal.SIGSTOP)
    start = time.monotonic()

    def lost():
        while source._state != "lost":
            time.sleep(0.05)
        source.stop()

    threading.Thread(target=lost, daemon=True).start()
    list(frames)
    took = time.monotonic() - start
    server.signal(signal.SIGCONT)
    print(f"a hang was noticed after {took:.1f} s")
    assert took < 8
    assert "nothing came for 4 s" in caplog.text


def test_a_wrong_password_is_said_and_not_shown(server, caplog):
    server.start("me:hunter2")
    source = open_source(server.uri("me:wrong1@"), options=LiveOptions(read_timeout=3.0))
    source.listener = Recorder([source.info.source_id])
    threading.Timer(2.0, source.stop).start()
    assert list(source.frames()) == []
    assert "cannot be opened" in caplog.text
    assert "nauthorized" in caplog.text
    assert "wrong1" not in caplog.text
    right = open_source(server.uri("me:hunter2@"))
    right.listener = Recorder([right.info.source_id])
    frames = right.frames()
    assert next(frames).size == SIZE
    frames.close()


def test_a_signal_ends_a_stream_whose_camera_hangs_within_two_seconds(server, tmp_path):
    server.start()
    video, lines = tmp_path / "a.mp4", tmp_path / "a.jsonl"
    code = "from segrt.runtime.cli import main; main()"
    arguments = ["stream", "street-semantic", server.uri(), "--threads", "1", "--sink", video, "--sink", lines]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (lines.exists() and lines.read_bytes().count(b"\n") > 5):
            time.sleep(0.05)
        server.signal(signal.SIGSTOP)
        time.sleep(1.0)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
        took = time.monotonic() - start
    server.signal(signal.SIGCONT)
    assert process.returncode == 143
    assert took < 4, "two seconds, and as many again for a busy machine"
    assert stderr.splitlines()[-1] == "segrt: interrupted"
    with av.open(str(video)) as container:
        assert container.streams.video[0].frames == lines.read_bytes().count(b"\n")


def test_a_clip_of_a_camera_has_its_own_packets_and_goes_on_in_another_file_after_an_outage(server, tmp_path):
    server.start()
    source = open_source(server.uri(), options=LiveOptions(read_timeout=2.0))
    source._backoff = Backoff(0.2, 0.5)
    keeper = ClipKeeper(tmp_path, SinkOptions(), before=1.0, after=0.5)
    keeper.watch([source], Recorder([source.info.source_id]))
    begun, shown = [], []
    for frame in source.frames():
        path = keeper.take(frame, "car in yard" if frame.index >= 12 else None)
        begun += [] if path is None else [path]
        shown.append(timecode.read(frame.image))
        if frame.index == 20:
            server.kill()
            server.start()
        if frame.index == 35:
            break
    source.stop()
    keeper.close()
    assert [path.name for path in begun] == ["car-in-yard.mp4", "car-in-yard-00001.mp4"]
    times = []
    for path in begun:
        with av.open(str(path)) as film:
            assert film.streams.video[0].codec_context.name == "h264"
            pictures = [frame.to_ndarray(format="bgr24") for frame in film.decode(video=0)]
        times.append([timecode.read(picture) for picture in pictures])
    known = {round(moment, 2) for moment in shown if moment is not None}
    for moments in times:
        read = [round(moment, 2) for moment in moments if moment is not None]
        assert len(read) >= 5
        assert set(read) <= known, "pictures that the camera has sent"
    assert times[0][0] < shown[12] - 0.5, "it begins before the rule held"
