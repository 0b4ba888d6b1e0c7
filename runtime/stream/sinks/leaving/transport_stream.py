"""Encoded pictures as an MPEG transport stream, in memory."""

import io
from fractions import Fraction
from typing import Any

import av

from segrt.runtime.outputs.encoders.encoded import TICKS, Encoded
from segrt.runtime.stream.clips.packet_ring import add_like

# Tables before each picture, so that the stream may be cut before any of them.
_OPTIONS = {"flush_packets": "1", "mpegts_flags": "pat_pmt_at_frames", "mpegts_copyts": "1", "muxdelay": "0"}


class TransportStream:
    """One stream of pictures of one size, beginning with a key picture at `ticks` 0."""

    def __init__(self, key_picture: Encoded) -> None:
        self._file = _Memory()
        self._first = key_picture.ticks
        self._container: Any = av.open(self._file, "w", format="mpegts", container_options=_OPTIONS)
        with av.open(io.BytesIO(key_picture.data), format="h264") as template:
            self._stream = add_like(self._container, template.streams.video[0])

    def mux(self, encoded: Encoded) -> bytes:
        """Return the bytes of one picture, whole packets of 188 bytes."""
        packet = av.Packet(encoded.data)
        packet.stream, packet.time_base = self._stream, Fraction(1, TICKS)
        packet.pts = packet.dts = encoded.ticks - self._first
        packet.is_keyframe = encoded.is_key
        self._container.mux(packet)
        return self._file.take()

    def close(self) -> None:
        """Free the muxer."""
        self._container.close()


class _Memory(io.RawIOBase):
    """A file that keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += bytes(data)
        return len(data)

    def take(self) -> bytes:
        data, self._held = bytes(self._held), bytearray()
        return data
