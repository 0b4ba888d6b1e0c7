"""Packets of a source that gives none: its frames, encoded as they come."""

import io
from fractions import Fraction
from typing import Any

import av

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.swscale import one_thread
from segrt.runtime.stream.clips.packet_ring import PacketRing

_TICKS = 90_000
_KEY_FRAMES = 25  # from key frame to key frame: what a clip may begin too early by


class FrameEncoder:
    """Encodes frames as H.264 into a ring, at the rate at which they are processed; a new size begins a new stream."""

    def __init__(self, ring: PacketRing, path_for_errors: str) -> None:
        self._ring, self._what = ring, path_for_errors
        self._holder: Any = None
        self._stream: Any = None
        self._size: tuple[int, int] = (0, 0)
        self._last = -1

    def encode(self, picture: Picture, pts: float) -> None:
        """Encode a picture, uint8 BGR (H, W, 3), of `pts` seconds; one that is not later than the last is left out."""
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        ticks = round(pts * _TICKS)
        if (height, width) != self._size or ticks < self._last:
            self._begin(height, width)
        if ticks <= self._last and self._last >= 0:
            return
        self._last = ticks
        frame = av.VideoFrame.from_ndarray(picture[:height, :width].copy(), format="bgr24")
        frame = frame.reformat(format="yuv420p", **one_thread())
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS)
        for packet in self._stream.encode(frame):
            self._ring.packet(packet)

    def _begin(self, height: int, width: int) -> None:
        if min(height, width) < 2:
            raise VideoError(f"{self._what}: a picture of {width}x{height} is too small to be recorded")
        try:
            av.codec.Codec("libx264", "w")
        except av.codec.codec.UnknownCodecError:
            raise VideoError(
                f"{self._what}: this PyAV has no libx264 to write H.264 with; install PyAV from PyPI (pip install av)"
            ) from None
        self._holder = av.open(io.BytesIO(), "w", format="mp4")
        options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "bf": "0"}
        stream = self._holder.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.thread_count = 1
        stream.gop_size = _KEY_FRAMES
        stream.codec_context.time_base = Fraction(1, _TICKS)
        self._holder.start_encoding()
        self._stream, self._size, self._last = stream, (height, width), -1
        self._ring.begin(stream)
        self._ring.time_base = Fraction(1, _TICKS)
