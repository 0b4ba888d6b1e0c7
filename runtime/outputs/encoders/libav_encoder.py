"""Encoders of PyAV's FFmpeg: x264 on the processor, NVENC, V4L2's memory-to-memory devices, libvpx's VP8."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import av.error

from segrt.runtime.files.images import Picture
from segrt.runtime.files.swscale import one_thread
from segrt.runtime.outputs.encoders.annex_b import ParameterSets
from segrt.runtime.outputs.encoders.encoded import TICKS, Encoded, Encoder, EncoderError, Wanted

# No picture waits for another: no B-frames, no lookahead.
_X264 = {"preset": "veryfast", "tune": "zerolatency", "crf": "23", "bf": "0"}
_NVENC = {
    "preset": "p4", "tune": "ull", "rc": "vbr", "zerolatency": "1", "delay": "0", "bf": "0", "forced-idr": "1",
}  # fmt: skip
_VPX = {
    "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1", "static-thresh": "1",
    "quality": "realtime",
}  # fmt: skip
_FAILURES = (av.error.FFmpegError, OSError, ValueError, MemoryError)


class LibavEncoder(Encoder):
    """Encodes with the encoder `name` of FFmpeg, opened with `options`."""

    def __init__(self, name: str, wanted: Wanted, options: Mapping[str, str]) -> None:
        self._name = name
        try:
            context: Any = av.CodecContext.create(name, "w")
            context.width, context.height, context.pix_fmt = wanted.width, wanted.height, "yuv420p"
            context.time_base = Fraction(1, TICKS)
            context.framerate = Fraction(wanted.rate).limit_denominator(1001)
            context.gop_size = wanted.key_pictures
            context.bit_rate = wanted.bitrate
            context.thread_count = 1
            self._matrix, tag = ("ITU709", "bt709") if wanted.height >= 720 else ("ITU601", "smpte170m")
            colours = {"colorspace": tag, "color_primaries": tag, "color_trc": tag, "color_range": "tv"}
            context.options = {**options, **colours}
            context.open()
        except _FAILURES as error:
            raise EncoderError(_reason(error)) from error
        except av.codec.codec.UnknownCodecError:
            raise EncoderError("this PyAV does not have it") from None
        self._context = context
        self._sets = ParameterSets(bytes(context.extradata or b""))
        self._is_h264 = "264" in name

    def encode(self, picture: Picture, ticks: int, *, key: bool) -> Sequence[Encoded]:
        """Encode a picture; raise EncoderError when that fails."""
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=self._matrix, dst_color_range="MPEG", **one_thread())
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS)
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        try:
            packets = self._context.encode(frame)
        except _FAILURES as error:
            raise EncoderError(_reason(error)) from error
        return [self._encoded(packet) for packet in packets]

    def close(self) -> None:
        """Free the encoder."""
        self._context = None

    def _encoded(self, packet: Any) -> Encoded:
        data, is_key = bytes(packet), packet.is_keyframe
        if self._is_h264:
            data, is_key = self._sets.complete(data)
        return Encoded(data, packet.pts, is_key)


class X264Encoder(LibavEncoder):
    """H.264 on the processor."""

    def __init__(self, wanted: Wanted) -> None:
        bounds = {"maxrate": str(wanted.bitrate), "bufsize": str(wanted.bitrate)}
        super().__init__("libx264", wanted, {**_X264, **bounds, **_profile(wanted)})


class NvencEncoder(LibavEncoder):
    """H.264 by the encoder of an NVIDIA GPU that has one: GeForce, RTX, T4, L4, L40; not A100, H100, H200."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__("h264_nvenc", wanted, {**_NVENC, **_profile(wanted)})


class V4l2Encoder(LibavEncoder):
    """H.264 by a memory-to-memory device of V4L2, as on a Raspberry Pi 4, on i.MX 8 and on RK3399."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__("h264_v4l2m2m", wanted, {"num_output_buffers": "4", "num_capture_buffers": "4"})


class Vp8Encoder(LibavEncoder):
    """VP8 on the processor, for browsers without H.264."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__("libvpx", wanted, {**_VPX, "maxrate": str(wanted.bitrate), "bufsize": str(wanted.bitrate)})


def _profile(wanted: Wanted) -> dict[str, str]:
    return {"profile": "baseline"} if wanted.simple else {}


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
