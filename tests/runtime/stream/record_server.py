"""An RTSP server that video is pushed to: `python record_server.py PORT [USER:PASSWORD]`, at rtsp://127.0.0.1:PORT/in.

Says "serving", and then "picture WIDTH HEIGHT TIMECODE" for each picture that came.
"""

import sys

import av

from segrt.runtime.outputs.gstreamer_bindings import start
from segrt.runtime.stream import timecode

PORT, USER = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
start("the test's server")
import gi  # noqa: E402 (found by `start`)

gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer  # noqa: E402
from rtsp_service import serve  # noqa: E402

LAUNCH = (
    "( rtph264depay name=depay0 ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au "
    "! appsink name=out sync=false emit-signals=true )"
)


class Viewer:
    """Decodes what one connection brings."""

    def __init__(self):
        self._decoder = av.CodecContext.create("h264", "r")

    def show(self, sink):  # noqa: D102
        buffer = sink.emit("pull-sample").get_buffer()
        for frame in self._decoder.decode(av.Packet(buffer.extract_dup(0, buffer.get_size()))):
            picture = frame.to_ndarray(format="bgr24")
            print("picture", frame.width, frame.height, timecode.read(picture), flush=True)
        return Gst.FlowReturn.OK


def configure(_factory, media):
    media.get_element().get_by_name("out").connect("new-sample", Viewer().show)


factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch(LAUNCH)
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.connect("media-configure", configure)
serve(factory, PORT, "/in", USER)
