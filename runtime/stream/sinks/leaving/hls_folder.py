"""The overlay as HLS (RFC 8216): short files and a playlist, which any web server gives to any player."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from segrt.runtime.errors import VideoError
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.outputs.encoders.encoded import TICKS, Encoded
from segrt.runtime.outputs.output_files import check_file, names_of_sources
from segrt.runtime.outputs.place import Disk
from segrt.runtime.outputs.rotation import last_number, numbered, numbered_names
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import PictureFolder, WrittenFiles
from segrt.runtime.stream.sinks.leaving.hls_playlist import HlsSegment, Playlist
from segrt.runtime.stream.sinks.leaving.leaving_sink import LeavingSink
from segrt.runtime.stream.sinks.leaving.outlet import Outlet
from segrt.runtime.stream.sinks.leaving.transport_stream import TransportStream

_SEGMENT_SECONDS = 2.0
_LISTED = 15  # segments in the playlist of a live stream
_MOST_LISTED = 1800  # an hour, however much --keep allows
_SPARED = 0.75  # of what --keep allows is listed; the rest is what players may still be fetching


class HlsSink(LeavingSink):
    """Writes `DIR/live.m3u8` and its segments, `live-00001.ts`, …; of several sources each has live-NAME.m3u8.

    Of a live stream the last half minute stays, or as much as `keep_bytes` says, and a restart goes on behind it. A
    stream of files keeps all, and its playlist ends.
    """

    forms: ClassVar = {"DIR/NAME.m3u8": "HLS"}
    name = "hls"
    paced = False

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        super().__init__(str(path), options)
        check_file(path)
        self._path = path
        self._folders: list[HlsFolder] = []

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:
        """Return the playlists, and what the segments are called."""
        paths = [_playlist_of(Path(spec), name) for name in names_of_sources(source_ids).values()]
        segments = [path.with_suffix(".ts") for path in paths]
        named = tuple(PictureFolder(path.parent, numbered_names(path), numbered(path, 1).name) for path in segments)
        return WrittenFiles(Path(spec), files=tuple(paths), pictures=named)

    def written(self) -> Sequence[Path]:
        """Return the playlists."""
        return [folder.path for folder in self._folders]

    def _outlet(self, name: str) -> Outlet:
        folder = HlsFolder(_playlist_of(self._path, name), self._options)
        self._folders.append(folder)
        return folder


class HlsFolder(Outlet):
    """The segments of one source, each written whole, and then named by the playlist."""

    def __init__(self, path: Path, options: SinkOptions) -> None:
        self.path = path
        self._options = options
        self._segments = path.with_suffix(".ts")
        self._disk = Disk(path.parent)
        self._playlist = Playlist(path, numbered_names(self._segments))
        self._sizes: dict[str, int] = {}
        self._retired: deque[Path] = deque()  # out of the playlist, and deleted when nobody can be fetching them
        self._muxer: TransportStream | None = None
        self._number = -1
        self._data = bytearray()
        self._began = self._newest = 0
        self._period = 0
        self._broken = False
        self._take_up()

    def wants_key(self) -> bool:
        """Say whether a new segment is due."""
        return self._muxer is None or self._newest + self._period - self._began >= _SEGMENT_SECONDS * TICKS

    def send(self, encoded: Encoded, stream: int) -> None:
        """Add a picture; raise SegrtError when a segment cannot be written."""
        if self._muxer is not None and stream != self._number:
            self._finish(self._newest + self._period)
            self._begin_anew()
        elif self._muxer is not None and encoded.is_key and encoded.ticks - self._began >= _SEGMENT_SECONDS * TICKS:
            self._finish(encoded.ticks)
        if self._muxer is None:
            if not encoded.is_key:
                return
            self._muxer, self._number = TransportStream(encoded), stream
            self._newest = encoded.ticks
        if not self._data:
            self._began = encoded.ticks
        self._data += self._muxer.mux(encoded)
        self._period, self._newest = encoded.ticks - self._newest or self._period, encoded.ticks

    def restart(self) -> None:
        """Drop what could not be written; what comes is another stretch."""
        self._data.clear()
        self._begin_anew()

    def close(self) -> None:
        """Write the last segment; of files, say that the stream has ended."""
        if self._data:
            self._finish(self._newest + self._period, ended=not self._options.live)
        self._begin_anew()

    def _take_up(self) -> None:
        """Go on behind what an earlier run of a live stream has left; a stream of files begins anew."""
        self._playlist.read()
        if self._options.live and self._playlist.ended:
            raise VideoError(f"{self.path}: holds a finished recording; write to another name")
        listed = [segment.name for segment in self._playlist.segments]
        passed = self._before(listed[0]) if listed else []
        if not self._options.live:
            for path in (*passed, *(self.path.parent / name for name in listed)):
                with suppress(OSError):
                    path.unlink()
            self._playlist = Playlist(self.path, numbered_names(self._segments))
            return
        self._retired.extend(passed)
        for path in (*passed, *(self.path.parent / name for name in listed)):
            with suppress(OSError):
                self._sizes[path.name] = path.stat().st_size
        self._broken = bool(listed)

    def _before(self, name: str) -> list[Path]:
        """Return the segments that lie there with smaller numbers than that of segment `name`, oldest first."""
        names = numbered_names(self._segments)
        found = [(match, path) for path in self.path.parent.iterdir() if (match := names.fullmatch(path.name))]
        numbers = {path: int(match[1]) for match, path in found}
        bound = numbers.get(self.path.parent / name, 0)
        return sorted((path for path, number in numbers.items() if number < bound), key=lambda path: numbers[path])

    def _begin_anew(self) -> None:
        muxer, self._muxer = self._muxer, None
        if muxer is not None:
            muxer.close()
        self._broken = bool(self._playlist.segments)

    def _finish(self, ends: int, *, ended: bool = False) -> None:
        """Write what has come as a segment that lasts up to the tick `ends`, and the playlist with it."""
        self._disk.check()
        make_folder(self.path.parent)
        path = numbered(self._segments, last_number(self._segments) + 1)
        write_atomic(path, memoryview(self._data), mode=0o644)
        seconds = max(1, ends - self._began) / TICKS
        self._sizes[path.name] = len(self._data)
        self._playlist.segments.append(HlsSegment(path.name, seconds, self._broken))
        self._broken = False
        self._data = bytearray()
        self._prune()
        self._playlist.write(ended=ended, growing=not self._options.live and self._options.keep_bytes is None)
        while self._retired and self._is_too_much():
            with suppress(OSError):
                self._retired[0].unlink()
            self._sizes.pop(self._retired.popleft().name, None)

    def _prune(self) -> None:
        """Take out of the playlist what is too old."""
        keep, live = self._options.keep_bytes, self._options.live
        listed = self._playlist.segments
        most = len(listed) if not live else _LISTED if keep is None else _MOST_LISTED
        room = float("inf") if keep is None else keep * _SPARED
        while len(listed) > 1 and (len(listed) > most or self._bytes(listed) > room):
            self._retired.append(self._playlist.drop_oldest())

    def _is_too_much(self) -> bool:
        """Say whether what is not listed any more has to go: by bytes, or for it is as long ago as the list is long."""
        if self._options.keep_bytes is not None:
            return sum(self._sizes.values()) > self._options.keep_bytes
        return len(self._retired) > _LISTED

    def _bytes(self, segments: Sequence[HlsSegment]) -> int:
        return sum(self._sizes.get(segment.name, 0) for segment in segments)


def _playlist_of(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}-{name}{path.suffix}") if name else path
