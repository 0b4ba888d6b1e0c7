"""What the tests of video that leaves share: a camera that feeds a sink as a stream does, and servers to push to."""

# ruff: noqa: D102 (names say it)

import contextlib
import socket
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.encoders.live_encoder import LiveEncoder
from segrt.runtime.outputs.gstreamer_bindings import start
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream import timecode
from segrt.runtime.stream.batches import Job
from segrt.runtime.stream.channel import Channel
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sink_stages import feed_with_retries
from segrt.runtime.stream.sinks.sink_kinds import open_sink
from segrt.runtime.stream.sources.source import SourceInfo

SIZE, FPS = (96, 320), 25


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def picture(seconds, size=SIZE):
    image = np.full((*size, 3), 90, np.uint8)
    timecode.burn(image, seconds)
    return image


def need_gstreamer(*elements, rtsp_server=False):
    """Skip where GStreamer, its RTSP server or elements are not there."""
    try:
        gst = start("this test")
        if rtsp_server:
            sys.modules["gi"].require_version("GstRtspServer", "1.0")
    except (VideoError, ValueError):
        pytest.skip("needs python3-gi gir1.2-gst-rtsp-server-1.0 from Debian (apt-get)")
    missing = [name for name in elements if gst.ElementFactory.find(name) is None]
    if missing:
        pytest.skip(f"needs gstreamer1.0-plugins-bad (has no {', '.join(missing)})")


def count_encoding(monkeypatch):
    """Return the list of what is encoded from now on: the ticks of each picture."""
    encoded, real = [], LiveEncoder.encode

    def encode(self, image, ticks):
        encoded.append(ticks)
        return real(self, image, ticks)

    monkeypatch.setattr(LiveEncoder, "encode", encode)
    return encoded


class Camera:
    """Feeds a sink 25 pictures a second, each with the moment of its capture, as the last stage of a stream does."""

    def __init__(self, spec, sources=("cam",)):
        self.sources = sources
        self.sink = open_sink(spec, SinkOptions(live=True))
        self.recorder = Recorder(list(sources))
        self._jobs = Channel(8, newest_only=True, displaced=lambda job: self.recorder.sink("sink", dropped=1))  # noqa: ARG005
        infos = [SourceInfo(name, Fraction(FPS), live=True) for name in sources]
        arguments = (self.sink, "sink", self._jobs, infos, self.recorder)
        self._feeding = threading.Thread(target=self._feed, args=arguments, daemon=True)
        self._stop = threading.Event()
        self._capturing = threading.Thread(target=self._capture, daemon=True)
        self._feeding.start()
        self._capturing.start()

    def _feed(self, *arguments):
        with contextlib.suppress(Exception):  # the channel's end
            feed_with_retries(*arguments)

    def _capture(self):
        began, index = time.monotonic(), 0
        while not self._stop.is_set():
            for source in self.sources:
                now = time.monotonic()
                image = picture(now)
                self._jobs.put(Job(Frame(image, index, index / FPS, now, source), object(), image))
            index += 1
            time.sleep(max(0.0, began + index / FPS - time.monotonic()))

    def counts(self):
        return self.recorder.metrics().sinks.get("sink")

    def end(self):
        self._stop.set()
        self._capturing.join()
        self._jobs.close()
        self._feeding.join(10)
        assert not self._feeding.is_alive()


class PushedTo:
    """A server of the tests, in a process of its own, which says what pictures it gets."""

    def __init__(self, script, *arguments):
        self._command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        self.process = None
        self.pictures = []

    def start(self):
        self.pictures = []
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline() == b"serving\n"
        threading.Thread(target=self._read, args=(self.process, self.pictures), daemon=True).start()

    def _read(self, process, pictures):
        with contextlib.suppress(ValueError, OSError):  # it was ended
            for line in process.stdout:
                words = line.split()
                if words[0] == b"picture" and line.endswith(b"\n"):  # a killed one leaves half a line
                    seconds = None if words[3] == b"None" else float(words[3])
                    pictures.append((int(words[1]), int(words[2]), seconds, time.monotonic()))

    def wait(self, count, seconds=15):
        deadline = time.monotonic() + seconds
        while len(self.pictures) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.pictures) >= count, f"{len(self.pictures)} pictures came"
        return self.pictures[-1]

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None
