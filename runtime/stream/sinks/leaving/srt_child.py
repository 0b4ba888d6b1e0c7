"""The process that pushes video over SRT by GStreamer's srtsink, where PyAV's FFmpeg has no SRT: most of its wheels.

It is fed as `push_child` is, but for `options`, which are srtsink's properties, and `folder`, where `gi` is. It has a
process of its own because srtsink may abort the one that it is in when a connection is lost. Nothing of segrt is
imported.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import time
from importlib import import_module
from typing import Any

HEADER = struct.Struct("<IqB")
TICKS = 90_000
_PR_SET_PDEATHSIG = 1
_MOST_WAITING = 4 << 20  # bytes
_CONNECT_SECONDS = 6.0
_SOCKET_SECONDS = 0.2  # SRT sends on after the pipeline has ended
_LAST_SECONDS = 0.8  # for what is on its way at the end; whoever feeds us waits for one second
_LAUNCH = (
    "appsrc name=in is-live=true format=time caps=video/x-h264,stream-format=byte-stream,alignment=au "
    "! h264parse config-interval=-1 ! mpegtsmux alignment=7 ! srtsink name=out sync=false wait-for-connection=false"
)


def main() -> int:
    """Push what comes until it ends; return the exit code."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    taken = sys.stdin.buffer
    order = json.loads(taken.readline())
    sys.path.append(order["folder"])
    gi = import_module("gi")
    gi.require_version("Gst", "1.0")
    gst = import_module("gi.repository.Gst")
    gst.init(None)
    pipeline = gst.parse_launch(_LAUNCH)
    source, sink = pipeline.get_by_name("in"), pipeline.get_by_name("out")
    sink.set_property("uri", order["uri"])
    for name, value in order["options"].items():
        gst.util_set_object_arg(sink, name, value)
    pipeline.set_state(gst.State.PLAYING)
    first, connected, deadline = None, False, time.monotonic() + _CONNECT_SECONDS
    while (head := taken.read(HEADER.size)) and len(head) == HEADER.size:
        length, ticks, _ = HEADER.unpack(head)
        buffer = gst.Buffer.new_wrapped(taken.read(length))
        first = ticks if first is None else first
        buffer.pts = buffer.dts = (ticks - first) * gst.SECOND // TICKS
        source.emit("push-buffer", buffer)
        while not connected:
            connected = _is_connected(sink)
            if (reason := _trouble(gst, pipeline)) or (not connected and time.monotonic() > deadline):
                return _say(reason or "nobody answers")
            if connected:
                print("ok", flush=True)
            else:
                time.sleep(0.02)
        if reason := _trouble(gst, pipeline):
            return _say(reason)
        if source.get_property("current-level-bytes") > _MOST_WAITING:
            return _say("it takes nothing")
    _finish(gst, pipeline)
    return 0


def _finish(gst: Any, pipeline: Any) -> None:
    """Let the last pictures get through the pipeline, and out of the socket, within a time."""
    deadline = time.monotonic() + _LAST_SECONDS
    pipeline.get_by_name("in").emit("end-of-stream")
    kinds = gst.MessageType
    message = pipeline.get_bus().timed_pop_filtered(int(_LAST_SECONDS * gst.SECOND), kinds.EOS | kinds.ERROR)
    if message is not None and message.type == kinds.EOS:
        time.sleep(max(0.0, min(_SOCKET_SECONDS, deadline - time.monotonic())))


def _is_connected(sink: Any) -> bool:
    """Say whether the other side has answered: then there is something to count."""
    stats = sink.get_property("stats")
    return stats is not None and stats.has_field("packets-sent")


def _trouble(gst: Any, pipeline: Any) -> str:
    """Return why the connection is lost, "" while it is not: a warning says that the element tries again, as we do."""
    kinds = gst.MessageType
    message = pipeline.get_bus().timed_pop_filtered(0, kinds.ERROR | kinds.WARNING)
    if message is None:
        return ""
    error = message.parse_error() if message.type == kinds.ERROR else message.parse_warning()
    return str(error[0].message)


def _say(reason: str) -> int:
    print(" ".join(reason.split()), flush=True)
    return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # without taking the pipeline apart
