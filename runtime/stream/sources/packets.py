"""A feed that PyAV reads: RTSP and HTTP streams, USB cameras."""

import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import av
import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.sources.bounded_bytes import BoundedBytes
from segrt.runtime.stream.sources.cpu_decoder import VideoDecoder, WantedDecoder
from segrt.runtime.stream.sources.flood_guard import FloodGuard
from segrt.runtime.stream.sources.live import Feed, RefusedError, Shot
from segrt.runtime.stream.sources.packet_tap import PacketTap
from segrt.runtime.stream.sources.video_decoder import open_decoder
from segrt.runtime.stream.sources.video_file import reason_of

_WAITED = 0.002  # seconds: a packet that took longer to come was not lying in the socket
_BARE = frozenset(("mjpeg", "mpjpeg", "image2", "image2pipe"))  # formats whose times are made up
_LONGEST_LAG = 30.0
_REFUSALS = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError, av.error.ProtocolNotFoundError)


class PacketFeed(Feed):
    """Opens `address` with PyAV.

    The capture time of a frame is when its packet arrived. One that had been waiting in the socket, because we were
    busy, is older than that: it is then taken from the stream's own time, for which the last packet that we had to
    wait for gives the relation.

    `tap` is told of its packets; `decoder` says what decodes them. Raises VideoError when it cannot be opened within
    `timeout` seconds; `read` when nothing came for so long.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float,
        demuxer: str | None = None,
        options: Mapping[str, str] | None = None,
        tap: PacketTap | None = None,
        decoder: WantedDecoder = "cpu",
        name: str = "",
    ) -> None:
        self._timeout = timeout
        self._tap = tap
        # FFmpeg's RTSP, when its read is interrupted, asks the server once more, and waits for as long again.
        read = timeout / 2 if address.lower().startswith("rtsp") else timeout
        self._offset: float | None = None
        self._ready: deque[Shot] = deque()
        self._decoder: VideoDecoder | None = None
        self._budget: BoundedBytes | FloodGuard | None = None
        start = time.monotonic()
        try:
            self._container = self._open(address, demuxer, dict(options or {}), (timeout, read))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            # An interrupted RTSP handshake ends as invalid data.
            hung = time.monotonic() - start > 0.9 * timeout
            why = f"nothing came for {timeout:g} s" if hung else _why(error, timeout)
            kind = RefusedError if isinstance(error, _REFUSALS) else VideoError
            raise kind(f"cannot be opened ({why})") from None
        try:
            if not self._container.streams.video:
                raise VideoError("has no video")
            self._stream: Any = self._container.streams.video[0]
            if self._stream.codec_context is None:
                raise VideoError("has a video codec that is not known to this PyAV")
            self._decoder = self._opened_decoder(decoder, name)
            self._timed = self._container.format.name not in _BARE
            self._packets = self._container.demux(self._stream)
            if self._tap is not None and self._timed:
                self._tap.begin(self._stream)
        except BaseException:
            self.close()
            raise

    def read(self) -> Shot:
        """Return the next picture; raise VideoError when the stream ends, fails, or gives none in time."""
        deadline = time.monotonic() + 2 * self._timeout
        while not self._ready:
            start = time.monotonic()
            try:
                packet = next(self._packets, None)
                if self._budget is not None:
                    self._budget.check(ended=packet is None or packet.size == 0)
                    self._budget.restart()
            except (av.error.FFmpegError, OSError) as error:
                raise VideoError(f"the connection is lost ({_why(error, self._timeout)})") from None
            now = time.monotonic()
            if packet is None or packet.size == 0:
                raise VideoError("the stream has ended")
            if self._tap is not None and self._timed:  # times that are made up cut nothing
                self._tap.packet(packet)
            self._decode(packet, now, fresh=now - start > _WAITED)
            if not self._ready and now > deadline:
                raise VideoError(f"no picture could be decoded for {2 * self._timeout:.0f} s")
        return self._ready.popleft()

    def close(self) -> None:
        """End the connection."""
        if self._decoder is not None:
            self._decoder.close()
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()
        if self._budget is not None:
            self._budget.close()

    def _open(
        self, address: str, demuxer: str | None, options: dict[str, str], timeout: tuple[float, float]
    ) -> "av.container.InputContainer":
        if address.lower().startswith("rtsp"):
            guard = self._budget = FloodGuard()
            try:
                return _av_open(address, demuxer, options, timeout)
            except BaseException:
                guard.close()
                guard.check()
                raise
            finally:
                guard.connected()
        if address.lower().startswith("http"):
            content = BoundedBytes(address, timeout)
            try:
                demuxer = content.form()
                if demuxer is not None:
                    self._budget = content
                    return _av_open(content, demuxer, options, timeout)
            except BaseException:
                content.close()
                content.check(ended=True)
                raise
            content.close()
        return _av_open(address, demuxer, options, timeout)

    def _opened_decoder(self, wanted: WantedDecoder, name: str) -> VideoDecoder:
        """Return the decoder; one thread, for frame threads would hold frames back."""
        try:
            return open_decoder(self._stream, wanted, name, low_delay=True)
        except VideoError as error:
            raise RefusedError(str(error)) from None

    def _decode(self, packet: Any, now: float, *, fresh: bool) -> None:
        assert self._decoder is not None
        if self._timed and packet.pts is not None and (fresh or self._offset is None):
            self._offset = now - float(packet.pts * packet.time_base)
        try:
            decoded = self._decoder.decode(packet)
        except (av.error.FFmpegError, ValueError):  # damaged packets: the next key frame mends it
            return
        for frame in decoded:
            if frame.is_corrupt:
                continue
            try:
                picture = self._decoder.picture(frame)
            except VideoError as error:
                # Of the CPU's decoder the next attempt meets the same.
                raise (RefusedError if self._decoder.device == "cpu" else VideoError)(str(error)) from None
            pts = frame.time if self._timed else None
            captured = now
            if pts is not None and self._offset is not None:
                captured = min(now, max(pts + self._offset, now - _LONGEST_LAG))
            self._ready.append(Shot(picture, pts, captured))


def _av_open(
    place: str | BoundedBytes, demuxer: str | None, options: dict[str, str], timeout: tuple[float, float]
) -> "av.container.InputContainer":
    return av.open(place, mode="r", format=demuxer, options=options, timeout=timeout, metadata_errors="replace")


def _why(error: BaseException, timeout: float) -> str:
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {timeout:g} s"
    return reason_of(error)
