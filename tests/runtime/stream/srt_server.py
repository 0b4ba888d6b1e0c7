"""An SRT listener that video is pushed to: `python srt_server.py PORT [PASSPHRASE]`.

Says "serving", and then "picture WIDTH HEIGHT TIMECODE" for each picture that came.
"""

import sys

import av

from segrt.runtime.outputs.gstreamer_bindings import start
from segrt.runtime.stream import timecode

PORT, PASSPHRASE = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
gst = start("the test's server")
secret = f"passphrase={PASSPHRASE}" if PASSPHRASE else ""
pipeline = gst.parse_launch(
    f"srtsrc uri=srt://127.0.0.1:{PORT}?mode=listener latency=60 {secret} ! tsdemux ! h264parse config-interval=-1 "
    "! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
)
pipeline.set_state(gst.State.PLAYING)
pipeline.get_state(gst.SECOND)  # a live source has opened its socket then
print("serving", flush=True)
decoder = av.CodecContext.create("h264", "r")
while (sample := pipeline.get_by_name("out").emit("pull-sample")) is not None:
    buffer = sample.get_buffer()
    for frame in decoder.decode(av.Packet(buffer.extract_dup(0, buffer.get_size()))):
        print("picture", frame.width, frame.height, timecode.read(frame.to_ndarray(format="bgr24")), flush=True)
