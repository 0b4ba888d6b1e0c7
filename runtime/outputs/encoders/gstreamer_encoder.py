"""H.264 by an element of GStreamer: the encoder of a Jetson, which FFmpeg's builds do not know."""

from collections.abc import Sequence
from typing import Any

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.encoders.annex_b import ParameterSets
from segrt.runtime.outputs.encoders.encoded import TICKS, Encoded, Encoder, EncoderError, Wanted
from segrt.runtime.outputs.gstreamer_bindings import start

_FIRST_SECONDS = 3.0  # until an encoder that works has given its first picture
_NEXT_SECONDS = 0.5
_MOST_EMPTY = 50  # pictures in a row for which nothing has come


class GstreamerEncoder(Encoder):
    """Encodes through `appsrc ! CONVERTED ! appsink`, where `element` turns raw video into H.264."""

    def __init__(self, wanted: Wanted, element: str) -> None:
        self._pipeline: Any = None
        try:
            gst = self._gst = start("H.264")
        except VideoError as error:
            raise EncoderError(str(error)) from None
        text = (
            "appsrc name=in is-live=true format=time block=true max-bytes=0 "
            f"caps=video/x-raw,format=BGR,width={wanted.width},height={wanted.height},"
            f"framerate={max(1, round(wanted.rate))}/1 ! {element} ! h264parse config-interval=-1 "
            "! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false max-buffers=8"
        )
        try:
            self._pipeline = gst.parse_launch(text)
        except Exception as error:  # GLib.Error, whose class comes with gi
            raise EncoderError(str(getattr(error, "message", error))) from None
        self._in, self._out = self._pipeline.get_by_name("in"), self._pipeline.get_by_name("out")
        self._sets = ParameterSets()
        self._given = False
        self._empty = 0
        self._first: int | None = None
        self._shift: int | None = None
        if self._pipeline.set_state(gst.State.PLAYING) == gst.StateChangeReturn.FAILURE:
            reason = self._reason()
            self.close()
            raise EncoderError(reason)

    def encode(self, picture: Picture, ticks: int, *, key: bool) -> Sequence[Encoded]:
        """Encode a picture; raise EncoderError when that fails or nothing comes."""
        gst = self._gst
        if key and self._given:  # the first one is a key picture anyway
            self._ask_for_key()
        buffer = gst.Buffer.new_wrapped(picture.tobytes())
        buffer.pts = ticks * gst.SECOND // TICKS
        self._first = buffer.pts if self._first is None else self._first
        if self._in.emit("push-buffer", buffer) != gst.FlowReturn.OK:
            raise EncoderError(self._reason())
        found: list[Encoded] = []
        wait = _NEXT_SECONDS if self._given else _FIRST_SECONDS
        while (sample := self._out.try_pull_sample(0 if found else int(wait * gst.SECOND))) is not None:
            found.append(self._encoded(sample.get_buffer()))
        self._empty = 0 if found else self._empty + 1
        if not found and (not self._given or self._empty >= _MOST_EMPTY):
            raise EncoderError(self._reason())
        self._given = True
        return found

    def close(self) -> None:
        """Stop the pipeline."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.set_state(self._gst.State.NULL)

    def _encoded(self, buffer: Any) -> Encoded:
        data, is_key = self._sets.complete(bytes(buffer.extract_dup(0, buffer.get_size())))
        if self._shift is None:  # some elements add a thousand hours, so that no time gets below 0
            self._shift = buffer.pts - (self._first or 0)
        return Encoded(data, round((buffer.pts - self._shift) * TICKS / self._gst.SECOND), is_key)

    def _ask_for_key(self) -> None:
        """Send what GstVideo.video_event_new_downstream_force_key_unit makes, which needs a further package."""
        structure = self._gst.Structure.new_from_string("GstForceKeyUnit, all-headers=(boolean)true")
        self._in.send_event(self._gst.Event.new_custom(self._gst.EventType.CUSTOM_DOWNSTREAM, structure))

    def _reason(self) -> str:
        message = self._pipeline.get_bus().timed_pop_filtered(0, self._gst.MessageType.ERROR)
        return "gives nothing" if message is None else str(message.parse_error()[0].message)


class JetsonEncoder(GstreamerEncoder):
    """The encoder of a Jetson that has one (an Orin Nano has none), by JetPack's nvv4l2h264enc."""

    def __init__(self, wanted: Wanted) -> None:
        profile = 0 if wanted.simple else 4  # baseline, high
        super().__init__(
            wanted,
            "videoconvert ! video/x-raw,format=I420 ! nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! "
            f"nvv4l2h264enc bitrate={wanted.bitrate} control-rate=1 iframeinterval={wanted.key_pictures} "
            f"idrinterval={wanted.key_pictures} insert-sps-pps=true maxperf-enable=true num-B-Frames=0 "
            f"preset-level=2 profile={profile}",
        )
