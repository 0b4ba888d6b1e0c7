"""H.264 as a byte stream (Annex B): its units, and parameter sets before each key picture."""

import re

_START = re.compile(rb"\x00\x00\x01")
_IDR, _SPS, _PPS = 5, 7, 8


def unit_types(data: bytes) -> list[int]:
    """Return the types of the units in `data`, as in table 7-1 of the standard."""
    return [data[match.end()] & 0x1F for match in _START.finditer(data) if match.end() < len(data)]


class ParameterSets:
    """Puts the last parameter sets before key pictures that came without; some encoders give them once only."""

    def __init__(self, extradata: bytes = b"") -> None:
        self._kept = extradata

    def complete(self, data: bytes) -> tuple[bytes, bool]:
        """Return an encoded picture, with parameter sets if it is a key picture, and whether it is one."""
        types = unit_types(data)
        if _SPS in types and _PPS in types:
            first = next((place for place, kind in enumerate(types) if kind not in (6, _SPS, _PPS, 9)), None)
            starts = [match.start() for match in _START.finditer(data)]
            self._kept = data if first is None else data[: starts[first]].rstrip(b"\0")
        elif _IDR in types and self._kept:
            data = self._kept + (data if data.startswith(b"\0\0\0\1") else b"\0" + data)
        return data, _IDR in types
