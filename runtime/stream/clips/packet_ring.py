"""The newest encoded packets of one source, as they came: bounded in seconds and bytes."""

import io
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error

from segrt.runtime.stream.sources.packet_tap import PacketTap

MOST_BYTES = 64 << 20
"""Of packets that are kept for a source, whatever the pre-roll."""
_FEWEST = 64  # packets that stay although they are older: those of frames that are still in the network
_ACROSS_SECONDS = 10.0  # a frame's result may come so long after its packet


@dataclass(frozen=True)
class KeptPacket:
    """A packet: `number` counts a source's, `time` is its pts in seconds, the rest is as PyAV has it."""

    number: int
    time: float
    data: bytes
    pts: int
    dts: int
    duration: int
    is_key: bool


class PacketRing(PacketTap):
    """Keeps what the last `seconds` need, from a key frame on; older and larger parts go, whole groups at a time.

    `usable` says whether packets come that an mp4 can hold; `template` is a stream with their parameters, `generation`
    counts the streams, whose packets do not mix.
    """

    def __init__(self, seconds: float, most_bytes: int = MOST_BYTES) -> None:
        self._seconds, self._most = seconds + _ACROSS_SECONDS, most_bytes
        self._lock = threading.Lock()
        self._kept: deque[KeptPacket] = deque()
        self._bytes = self._count = 0
        self._holder: Any = None
        self.template: Any = None
        self.time_base = Fraction(1, 90_000)
        self.generation = 0
        self.usable = False
        self._offset = 0.0

    def begin(self, stream: Any) -> None:
        """Take the parameters of a new stream; what the one before gave is dropped."""
        holder = av.open(io.BytesIO(), "w", format="mp4")  # keeps the parameters when the source has closed its own
        template, time_base = None, None
        with suppress(ValueError, av.error.FFmpegError):  # a codec that no mp4 holds
            template, time_base = add_like(holder, stream), stream.time_base
        with self._lock:
            self._holder, self.template = holder, template
            self.time_base = time_base or self.time_base
            self.generation += 1
            self.usable = template is not None and time_base is not None
            self._clear()

    def packet(self, packet: Any) -> None:
        """Keep a copy of the packet's data."""
        if not self.usable:
            return
        if packet.pts is None or packet.dts is None:  # a stream without times cannot be cut
            self.usable = False
            with self._lock:
                self._clear()
            return
        time = float(packet.pts * packet.time_base)
        self.keep(bytes(packet), time, packet.pts, packet.dts, packet.duration or 0, is_key=packet.is_keyframe)

    def align(self, seconds: float) -> None:
        """Take how much later frames' times are than those of their packets."""
        self._offset = seconds

    def keep(self, data: bytes, time: float, pts: int, dts: int, duration: int, *, is_key: bool) -> None:
        """Keep a packet, and drop what is too old or too much."""
        with self._lock:
            if not self._kept and not is_key:
                return
            self._kept.append(KeptPacket(self._count, time, data, pts, dts, duration, is_key))
            self._count += 1
            self._bytes += len(data)
            while (self._bytes > self._most or self._has_spare_group(time)) and self._kept:
                self._drop_group()

    def from_time(self, pts: float) -> list[KeptPacket]:
        """Return what is kept from the last key frame at `pts` (a frame's time) or before on, else from the oldest."""
        wanted = pts - self._offset
        with self._lock:
            begin = 0
            for place, kept in enumerate(self._kept):
                if kept.is_key and kept.time <= wanted:
                    begin = place
            return list(self._kept)[begin:]

    def after(self, number: int) -> list[KeptPacket]:
        """Return what is kept behind packet `number`."""
        with self._lock:
            if not self._kept:
                return []
            return list(self._kept)[max(0, number + 1 - self._kept[0].number) :]

    def time_of(self, pts: float) -> float:
        """Return a frame's time on the packets' clock."""
        return pts - self._offset

    def size(self) -> tuple[int, int]:
        """Return how many packets are kept, and their bytes."""
        with self._lock:
            return len(self._kept), self._bytes

    def _clear(self) -> None:
        self._kept.clear()
        self._bytes = 0

    def _has_spare_group(self, newest: float) -> bool:
        """Say whether the oldest group is not needed: the next one is old enough by itself."""
        second = self._second_group()
        if second is None or len(self._kept) - second < _FEWEST:
            return False
        return self._kept[second].time < newest - self._seconds

    def _second_group(self) -> int | None:
        return next((place for place, kept in enumerate(self._kept) if place and kept.is_key), None)

    def _drop_group(self) -> None:
        """Drop the oldest packets up to the next key frame; all, where there is none."""
        second = self._second_group()
        for _ in range(len(self._kept) if second is None else second):
            self._bytes -= len(self._kept.popleft().data)


def add_like(container: Any, stream: Any) -> Any:
    """Add a stream with the parameters of another one, for packets as they are; raise ValueError where none fits."""
    try:
        added = container.add_stream_from_template(stream, opaque=True)
    except TypeError:  # PyAV 14
        added = container.add_stream_from_template(stream)
    if added.codec_context is not None:
        added.codec_context.codec_tag = "\0\0\0\0"  # that of another container; mp4 has its own
    return added
