"""The playlist of an HLS folder (RFC 8216): written whole, read again by the run that goes on with it."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.files.atomic import write_atomic
from segrt.runtime.files.reading import read_bytes

_MOST_BYTES = 4 << 20
_LENGTH = re.compile(r"#EXTINF:([0-9.]{1,12})")
_BREAKS = re.compile(r"#EXT-X-DISCONTINUITY-SEQUENCE:([0-9]{1,9})")


@dataclass(frozen=True)
class HlsSegment:
    """A file of the playlist: its name, its seconds, and whether it begins anew (`broken`): times, sizes, or a run."""

    name: str
    seconds: float
    broken: bool = False


class Playlist:
    """The segments that players may take, oldest first; `names` is what their names match, the group a number."""

    def __init__(self, path: Path, names: re.Pattern[str]) -> None:
        self._path, self._names = path, names
        self.segments: list[HlsSegment] = []
        self._passed_breaks = 0
        self.ended = False
        """Whether the playlist that was read is one that nothing is added to."""

    def read(self) -> None:
        """Take what an earlier run has left, as far as its files are there; what cannot be read counts as nothing."""
        try:
            lines = read_bytes(self._path, _MOST_BYTES).decode("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return
        seconds, broken = 0.0, False
        for line in lines:
            if match := _BREAKS.match(line):
                self._passed_breaks = int(match[1])
            elif match := _LENGTH.match(line):
                seconds = float(match[1])
            elif line == "#EXT-X-DISCONTINUITY":
                broken = True
            elif line == "#EXT-X-ENDLIST":
                self.ended = True
            elif self._names.fullmatch(line):
                if (self._path.parent / line).is_file():
                    self.segments.append(HlsSegment(line, seconds, broken))
                else:
                    self._passed_breaks += broken
                seconds, broken = 0.0, False

    def drop_oldest(self) -> Path:
        """Take the oldest segment out; return its file, which is still there."""
        oldest = self.segments.pop(0)
        self._passed_breaks += oldest.broken
        return self._path.parent / oldest.name

    def write(self, *, ended: bool, growing: bool) -> None:
        """Write the file; `growing` says that nothing is ever taken out, `ended` that nothing comes any more.

        Raises SegrtError when it cannot be written.
        """
        longest = max((segment.seconds for segment in self.segments), default=0.0)
        first = self._names.fullmatch(self.segments[0].name) if self.segments else None
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            f"#EXT-X-TARGETDURATION:{max(1, math.ceil(longest))}",
            f"#EXT-X-MEDIA-SEQUENCE:{int(first[1]) if first else 0}",
            *([f"#EXT-X-DISCONTINUITY-SEQUENCE:{self._passed_breaks}"] if self._passed_breaks else []),
            *(["#EXT-X-PLAYLIST-TYPE:EVENT"] if growing else []),
        ]
        for segment in self.segments:
            lines += ["#EXT-X-DISCONTINUITY"] if segment.broken else []
            lines += [f"#EXTINF:{segment.seconds:.5f},", segment.name]
        lines += ["#EXT-X-ENDLIST"] if ended else []
        write_atomic(self._path, ("\n".join(lines) + "\n").encode(), mode=0o644)
