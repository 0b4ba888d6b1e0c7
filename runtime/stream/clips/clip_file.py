"""One clip: packets of a source as an mp4 that is playable at every moment."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.output_files import failed_write
from segrt.runtime.outputs.place import delete_empty
from segrt.runtime.outputs.video_writer import mp4_options
from segrt.runtime.stream.clips.packet_ring import KeptPacket, PacketRing, add_like


class ClipFile:
    """Writes packets as they are, their times from 0 on; what a killed process leaves is whole up to the last one."""

    def __init__(self, path: Path, ring: PacketRing) -> None:
        self._path = path
        self.generation = ring.generation
        self._time_base: Fraction = ring.time_base
        self._first: int | None = None
        self._last_dts: int | None = None
        self.last_number = -1
        self.count = 0
        self._container: Any = None
        try:
            self._container = av.open(str(path), "w", options=mp4_options())
            self._stream = add_like(self._container, ring.template)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error) from error

    def write(self, kept: KeptPacket) -> None:
        """Write a packet; the first must be a key frame. Raises VideoError when the file cannot be written."""
        if self._first is None:
            self._first = kept.dts
        self.last_number = kept.number
        if self._last_dts is not None and kept.dts <= self._last_dts:  # a damaged stream; mp4 takes rising times alone
            return
        self._last_dts = kept.dts
        packet = av.Packet(kept.data)
        packet.stream, packet.time_base = self._stream, self._time_base
        packet.pts, packet.dts = kept.pts - self._first, kept.dts - self._first
        packet.is_keyframe = kept.is_key
        if kept.duration:
            packet.duration = kept.duration
        try:
            self._container.mux(packet)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error) from error
        self.count += 1

    def close(self) -> None:
        """Finish the file; one without a packet is deleted."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        if not self.count:
            with suppress(OSError):
                self._path.unlink()

    def _failed(self, error: BaseException) -> VideoError:
        container, self._container = self._container, None
        if container is not None:
            with suppress(av.error.FFmpegError, OSError):
                container.close()
        if not self.count:
            delete_empty(self._path)
        return failed_write(self._path, error, f"{self.count} frames are in it")
