"""The camera's pictures as video for browsers: each encoded once for every codec that anybody takes."""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Collection

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.encoders.encoded import TICKS, Encoded, Encoder, Wanted
from segrt.runtime.outputs.encoders.h264_encoders import open_h264
from segrt.runtime.outputs.encoders.libav_encoder import Vp8Encoder
from segrt.runtime.outputs.encoders.live_encoder import LiveEncoder
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.web.frame_message import shown_picture

log = logging.getLogger("segrt.stream")
CODECS = ("H264", "VP8")
"""What browsers may take, the better first."""
_UNEVEN = 0xFF  # ticks, below 3 ms


class VideoFeed:
    """Encodes frames of sources, in the sink's thread, and hands them to `deliver` with source and codec.

    `watched` says which codecs are taken of a source; nothing is encoded of others.
    """

    def __init__(self, watched: Callable[[str], Collection[str]], deliver: Callable[[str, str, Encoded], None]) -> None:
        self._watched, self._deliver = watched, deliver
        self._encoders: dict[tuple[str, str], LiveEncoder] = {}
        self._lock = threading.Lock()
        self._keys: set[tuple[str, str]] = set()
        self._last: dict[str, int] = {}
        self._said: set[str] = set()

    def ask_for_key(self, source_id: str, codec: str) -> None:
        """Let the next picture be one that can be shown without those before; called from any thread."""
        with self._lock:
            self._keys.add((source_id, codec))

    def ticks_of(self, frame: Frame) -> int:
        """Return the time that the frame's picture has in the video: now.

        A browser holds pictures back for as long as their ways have differed, so that they are shown evenly; what the
        network of the model and the queues before it have added shall not be held back for.
        It is uneven, by less than 3 ms, in a way that does not repeat: so a browser, which gets these times shifted by
        a number that nobody tells, finds the shift by the gaps between them (see page_video.js).
        """
        uneven = zlib.crc32(frame.index.to_bytes(8, "big")) & _UNEVEN
        ticks = max(round(time.monotonic() * TICKS) + uneven, self._last.get(frame.source_id, -1) + 1)
        self._last[frame.source_id] = ticks
        return ticks

    def publish(self, frame: Frame, ticks: int) -> None:
        """Encode a frame for whoever takes it; a codec that cannot be encoded here is not delivered."""
        wanted = self._watched(frame.source_id)
        for codec in CODECS:
            place = (frame.source_id, codec)
            if codec not in wanted:
                idle = self._encoders.pop(place, None)
                if idle is not None:
                    idle.close()
                continue
            encoder = self._encoders.get(place) or self._encoders.setdefault(place, _encoder(codec))
            with self._lock:
                if place in self._keys:
                    self._keys.discard(place)
                    encoder.ask_for_key()
            try:
                for encoded in encoder.encode(shown_picture(frame), ticks):
                    self._deliver(frame.source_id, codec, encoded)
            except VideoError as error:  # the page goes on with single pictures
                if str(error) not in self._said:
                    self._said.add(str(error))
                    log.warning("video on the live page: %s", error)

    def rest(self, source_id: str) -> None:
        """Free the encoders of a source that nobody takes."""
        for place in [place for place in self._encoders if place[0] == source_id]:
            self._encoders.pop(place).close()

    def close(self) -> None:
        """Free the encoders."""
        while self._encoders:
            self._encoders.popitem()[1].close()


def _encoder(codec: str) -> LiveEncoder:
    if codec == "VP8":
        return LiveEncoder(None, opening=_open_vp8)
    return LiveEncoder(None, simple=True, opening=open_h264)


def _open_vp8(wanted: Wanted, failed: frozenset[str]) -> tuple[str, Encoder]:
    if "libvpx" in failed:
        raise VideoError("VP8 cannot be encoded here")
    return "libvpx", Vp8Encoder(wanted)
