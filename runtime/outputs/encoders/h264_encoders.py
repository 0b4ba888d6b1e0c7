"""The encoders of H.264, the best first, and the one that opens."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.encoders import h264_presence
from segrt.runtime.outputs.encoders.encoded import Encoder, EncoderError, Wanted
from segrt.runtime.outputs.encoders.gstreamer_encoder import JetsonEncoder
from segrt.runtime.outputs.encoders.libav_encoder import NvencEncoder, V4l2Encoder, X264Encoder
from segrt.runtime.registry import Registry

log = logging.getLogger("segrt.stream")


@dataclass(frozen=True)
class EncoderKind:
    """`is_here` says whether this device seems to have it, `make` opens one; it may turn out not to work."""

    is_here: Callable[[], bool]
    make: Callable[[Wanted], Encoder]


# In the order in which they are tried: hardware before the processor, which always works.
H264: Registry[EncoderKind] = Registry(
    "H.264 encoder",
    {
        "nvv4l2h264enc": EncoderKind(h264_presence.has_jetson, JetsonEncoder),
        "h264_nvenc": EncoderKind(h264_presence.has_nvenc, NvencEncoder),
        "h264_v4l2m2m": EncoderKind(h264_presence.has_v4l2, V4l2Encoder),
        "libx264": EncoderKind(h264_presence.has_x264, X264Encoder),
    },
)
_failed: set[str] = set()  # of this process: said once, and not tried again


def h264_here() -> list[str]:
    """Return the encoders that this device seems to have, the best first."""
    return [name for name in H264 if H264.load(name).is_here()]


def open_h264(wanted: Wanted, passing: frozenset[str] = frozenset()) -> tuple[str, Encoder]:
    """Return the best encoder that opens, but those in `passing`, and its name.

    One that is there and does not open is said once, and passed over from then on. Raises VideoError where none works.
    """
    reason = "there is none"
    for name in h264_here():
        if name in passing or name in _failed:
            continue
        try:
            return name, H264.load(name).make(wanted)
        except EncoderError as error:
            give_up(name, reason := str(error))
    raise VideoError(f"H.264 cannot be encoded here ({reason}); install PyAV from PyPI (pip install av)")


def give_up(name: str, reason: str) -> None:
    """Say once that an encoder does not work; the next best is taken in its place. The last one stays."""
    if name in _failed or name == "libx264":
        return
    _failed.add(name)
    log.warning("H.264 encoder %s: is here, but does not work (%s); another one encodes", name, reason)
