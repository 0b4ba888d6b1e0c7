"""The bytes of an HTTP stream, counted: FFmpeg gathers a picture until it ends, and one that never ends fills memory.

FFmpeg's own HTTP client reads them, with all that it knows of authentication and TLS; its `data` demuxer hands them on
as they come.
"""

from contextlib import suppress

import av
import av.error

from segrt.runtime.errors import VideoError

MOST_BYTES = 24 << 20
"""The most that a picture may have; a JPEG of 8K at the best quality has about as much."""

_MULTIPART, _JPEG, _TRANSPORT = (b"--", b"\r\n--"), b"\xff\xd8\xff", b"\x47"


class BoundedBytes:
    """A file of the bytes at `address`, from which at most `MOST_BYTES` can be read until `restart` is called."""

    def __init__(self, address: str, timeout: tuple[float, float]) -> None:
        self._container = av.open(address, mode="r", format="data", timeout=timeout, options={"fflags": "nobuffer"})
        self._packets = self._container.demux(self._container.streams.data[0])
        self._pending = b""
        self._count = 0
        self._failure: Exception | None = None

    def form(self) -> str | None:
        """Return the demuxer for streams that carry on without an end; None for what FFmpeg opens better by itself.

        That is what is read out of order (MP4), or refers to further addresses (playlists).
        """
        self._pending = self._next()
        if self._pending.startswith(_MULTIPART):
            return "mpjpeg"
        if self._pending.startswith(_JPEG):
            return "mjpeg"
        return "mpegts" if self._pending.startswith(_TRANSPORT) else None

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; b"" at the end, or where `check` has something to say."""
        if self._failure is not None:  # an exception here would be printed by PyAV whenever FFmpeg asks again
            return b""
        try:
            data = self._pending or self._next()
        except (av.error.FFmpegError, OSError) as error:
            self._failure = error
            return b""
        self._pending = data[size:]
        self._count += min(size, len(data))
        if self._count > MOST_BYTES:
            self._failure = VideoError(f"sends more than {MOST_BYTES >> 20} MiB without the end of a picture")
            return b""
        return data[:size]

    def check(self, *, ended: bool) -> None:
        """Raise VideoError for a picture that was too large; where the stream has `ended`, raise what ended it."""
        if self._failure is not None and (ended or isinstance(self._failure, VideoError)):
            raise self._failure

    def restart(self) -> None:
        """Begin to count anew: a picture has ended."""
        self._count = 0

    def close(self) -> None:
        """End the connection."""
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()

    def _next(self) -> bytes:
        packet = next(self._packets, None)
        return b"" if packet is None else bytes(packet)
