"""An RTSP camera for the tests: `python rtsp_server.py PORT FPS WIDTH HEIGHT [MODE]` serves rtsp://127.0.0.1:PORT/cam.

The picture is the procedural street with the moment of its capture burnt in; MODE "still" and "black" are cameras
whose picture does not live. USER:PASSWORD as MODE asks for them.
"""

import sys
import time

import numpy as np

from segrt.runtime.stream import timecode
from segrt.runtime.stream.sources.gstreamer import start
from segrt.runtime.streetworld import StreetWorld

PORT, FPS, WIDTH, HEIGHT = map(int, sys.argv[1:5])
MODE = sys.argv[5] if len(sys.argv) > 5 else ""
start("the test's server")
import gi  # noqa: E402 (found by `start`)

gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402
from rtsp_service import serve  # noqa: E402

WORLD = StreetWorld(4)
PICTURES = [WORLD.render(index / 5, (HEIGHT, WIDTH)).image for index in range(10)]
LAUNCH = (
    f"( appsrc name=src is-live=true format=time caps=video/x-raw,format=BGR,width={WIDTH},height={HEIGHT},"
    f"framerate={FPS}/1 ! videoconvert ! video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast "
    f"key-int-max={FPS} threads=1 bitrate=1500 ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def picture(index):
    if MODE == "black":
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if MODE == "still":
        return PICTURES[0]
    image = PICTURES[index // 5 % len(PICTURES)].copy()
    timecode.burn(image, time.monotonic())
    return image


def configure(_factory, media):
    source = media.get_element().get_by_name("src")
    first = time.monotonic()
    state = {"index": 0}

    def push():
        index = state["index"]
        buffer = Gst.Buffer.new_wrapped(picture(index).tobytes())
        buffer.pts = int((time.monotonic() - first) * Gst.SECOND)
        buffer.duration = Gst.SECOND // FPS
        state["index"] += 1
        return source.emit("push-buffer", buffer) == Gst.FlowReturn.OK

    GLib.timeout_add(1000 // FPS, push)


factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch(LAUNCH)
factory.set_shared(True)
factory.connect("media-configure", configure)
serve(factory, PORT, "/cam", MODE if ":" in MODE else "")
