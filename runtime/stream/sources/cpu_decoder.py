"""From packets to pictures on the CPU, and what every decoder of video does."""

from typing import TYPE_CHECKING, Any, Literal, Protocol

import av

from segrt.runtime.files.images import Picture
from segrt.runtime.stream.sources.decoded_picture import Matrix, display_matrix, pixel_ratio_of, to_picture

if TYPE_CHECKING:
    from segrt.runtime.preprocess.cuda.device_picture import DevicePicture

WantedDecoder = Literal["auto", "cpu", "cuda"]
LOW_DELAY = 1 << 19
"""The flag of decoders that hold no frame back (AV_CODEC_FLAG_LOW_DELAY)."""


class VideoDecoder(Protocol):
    """Decodes one stream; `device`, "cuda" or "cpu", is where its pictures lie."""

    @property
    def device(self) -> str:
        """Where the pictures lie."""

    def decode(self, packet: Any) -> list[av.VideoFrame]:
        """Return the frames that a packet completes, in order; raise PyAV's errors."""

    def picture(self, frame: av.VideoFrame) -> "Picture | DevicePicture":
        """Return a frame of `decode` as people see it: BGR, upright, square pixels."""

    def close(self) -> None:
        """Free what it holds; pictures stay."""


class CpuDecoder:
    """The stream's own decoder on `threads`; with `low_delay` it holds no frame back."""

    device = "cpu"

    def __init__(self, stream: Any, *, threads: int = 1, low_delay: bool = False) -> None:
        stream.thread_type = "AUTO"
        stream.thread_count = threads
        if low_delay:
            stream.codec_context.flags |= LOW_DELAY
        self._upright = Upright(stream)

    def decode(self, packet: Any) -> list[av.VideoFrame]:
        """See `VideoDecoder`."""
        frames: list[av.VideoFrame] = packet.decode()
        return frames

    def picture(self, frame: av.VideoFrame) -> Picture:
        """See `VideoDecoder`."""
        return self._upright.picture(frame)

    def close(self) -> None:
        """See `VideoDecoder`; the stream's container closes its decoder."""


class Upright:
    """Makes pictures of a stream's frames; the display matrix is read once for each size."""

    def __init__(self, stream: Any) -> None:
        self.pixel_ratio = pixel_ratio_of(stream)
        self._matrix_of: tuple[int, int] | None = None
        self._matrix: Matrix | None = None

    def matrix(self, frame: av.VideoFrame) -> Matrix | None:
        """Return the frame's display matrix, or None."""
        if self._matrix_of != (frame.width, frame.height):
            self._matrix_of, self._matrix = (frame.width, frame.height), display_matrix(frame)
        return self._matrix

    def picture(self, frame: av.VideoFrame) -> Picture:
        """Return a frame on the host as people see it."""
        return to_picture(frame, self.pixel_ratio, self.matrix(frame))
