"""What every encoder of live video gives, and how it is asked."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture

TICKS = 90_000
"""Ticks a second, of every time in this room: the clock of RTP and of MPEG's transport streams."""


class EncoderError(VideoError):
    """This encoder cannot be opened, or has failed; another one may work."""


@dataclass(frozen=True)
class Encoded:
    """One encoded picture: `data` is H.264 with start codes (Annex B of the standard), or a VP8 frame.

    `is_key` pictures can be decoded without others; of H.264 their data begin with the parameter sets. `ticks` is the
    presentation time, in `TICKS` a second.
    """

    data: bytes
    ticks: int
    is_key: bool


@dataclass(frozen=True)
class Wanted:
    """What an encoder is asked for: pictures of even `height` and `width`, about `rate` a second.

    `bitrate` is in bits a second, a bound for the average; a key picture comes every `key_pictures` at least. With
    `simple` the stream uses nothing beyond H.264's constrained baseline profile, which every browser decodes.
    """

    height: int
    width: int
    rate: float
    bitrate: int
    key_pictures: int
    simple: bool = False


class Encoder(ABC):
    """Encodes pictures of one size, without delay: each picture's data come with it, or a few pictures later.

    Made with what is `Wanted`; raises EncoderError where it does not open.
    """

    @abstractmethod
    def encode(self, picture: Picture, ticks: int, *, key: bool) -> Sequence[Encoded]:
        """Encode uint8 BGR (H, W, 3) of rising `ticks`; a `key` picture where that is asked. Raises EncoderError."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the encoder; what it still holds is lost."""
