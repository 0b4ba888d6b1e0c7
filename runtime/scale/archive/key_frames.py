"""Whether decoding may begin at a packet that a container calls a key frame: some are but the start of a slow refresh.

H.264 calls each recovery point a key frame; only an IDR picture (Rec. ITU-T H.264, 7.4.1.2.4), or a picture of I slices
whose recovery point says that no frames are to be waited for (D.2.8), gives from there on the frames of the whole
stream. In HEVC these are the IRAP pictures (Rec. ITU-T H.265, 7.4.2.2). Other codecs' key frames are what they say.
"""

import re
from collections.abc import Iterator

_START = re.compile(rb"\x00\x00\x01")
_SLICE, _IDR, _SEI = 1, 5, 6  # types of H.264's NAL units
_RECOVERY_POINT = 6  # a type of SEI payload
_I_SLICES = (2, 7)
_IRAP = range(16, 24)


def begins_anew(codec: str, data: bytes, extradata: bytes) -> bool:
    """Say so of a packet's `data`; `extradata` is the stream's, which tells how units are told apart."""
    if codec == "h264":
        return _h264_begins(list(_units(data, _length_size(extradata, 4))))
    if codec == "hevc":
        kinds = [unit[0] >> 1 & 0x3F for unit in _units(data, _length_size(extradata, 21)) if unit]
        coded = [kind for kind in kinds if kind < 32]
        return bool(coded) and all(kind in _IRAP for kind in coded)
    return True


def _h264_begins(units: list[bytes]) -> bool:
    slices = [unit for unit in units if unit and unit[0] & 0x1F in (_SLICE, _IDR)]
    if not slices:
        return False
    if all(unit[0] & 0x1F == _IDR for unit in slices):
        return True
    recovers = any(_recovery(_unescaped(unit[1:])) == 0 for unit in units if unit and unit[0] & 0x1F == _SEI)
    return recovers and all(_slice_type(unit) in _I_SLICES for unit in slices)


def _slice_type(unit: bytes) -> int:
    bits = _Bits(_unescaped(unit[1:24]))
    bits.number()  # first_mb_in_slice
    return bits.number()


def _recovery(payloads: bytes) -> int | None:
    """Return how many frames the recovery point of an SEI unit waits for, None where it has none."""
    place = 0
    while place + 2 < len(payloads):
        kind, place = _extended(payloads, place)
        size, place = _extended(payloads, place)
        if kind == _RECOVERY_POINT:
            return _Bits(payloads[place : place + size]).number()
        place += size
    return None


def _extended(data: bytes, place: int) -> tuple[int, int]:
    """Return a number that goes on for as long as its bytes are 255, and where it ends."""
    value = 0
    while place < len(data) and data[place] == 255:
        value, place = value + 255, place + 1
    return value + (data[place] if place < len(data) else 0), place + 1


def _length_size(extradata: bytes, place: int) -> int:
    """Return how many bytes state a unit's length, 0 where units follow start codes (Annex B)."""
    is_counted = len(extradata) > place and extradata[0] == 1
    return (extradata[place] & 3) + 1 if is_counted else 0


def _units(data: bytes, length_size: int) -> Iterator[bytes]:
    if not length_size:
        starts = [match.end() for match in _START.finditer(data)]
        yield from (data[start:end] for start, end in zip(starts, [*starts[1:], len(data) + 3], strict=True))
        return
    place = 0
    while place + length_size <= len(data):
        length = int.from_bytes(data[place : place + length_size], "big")
        place += length_size
        yield data[place : place + length]
        place += length


def _unescaped(data: bytes) -> bytes:
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


class _Bits:
    """Reads Exp-Golomb numbers (Rec. ITU-T H.264, 9.1); what is behind the end is 0."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), len(data) * 8

    def number(self) -> int:
        """Return the next ue(v)."""
        zeros = 0
        while self._left and not self._bit():
            zeros += 1
        value = 1
        for _ in range(zeros):
            value = value << 1 | self._bit()
        return value - 1

    def _bit(self) -> int:
        if not self._left:
            return 0
        self._left -= 1
        return self._value >> self._left & 1
