"""One live stream of pictures, encoded as it comes: sizes may change, encoders may fail, key pictures are asked for."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import cv2
import numpy as np

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.encoders.encoded import Encoded, Encoder, EncoderError, Wanted
from segrt.runtime.outputs.encoders.h264_encoders import give_up, open_h264

_KEY_SECONDS = 2  # from key picture to key picture
_BITS_A_PIXEL = 0.1  # a second and picture: 2.3 Mbit/s for 1280x720 at 25
_LEAST_BITRATE, _MOST_BITRATE = 300_000, 12_000_000
_SMALLEST = 16  # pixels; below, encoders disagree on what they take
_RATE = 25.0
_HIGHEST_RATE = 240

Opening = Callable[[Wanted, frozenset[str]], tuple[str, Encoder]]


class LiveEncoder:
    """Encodes pictures of any size, each with its time; a new size begins a new stream, with a key picture.

    `rate` is the nominal number of pictures a second (None: 25), `simple` that of `Wanted`. `stream` counts the
    streams, `size` is that of the pictures in the newest, (H, W) in pixels, even; `name` is the encoder's. `opening`
    opens an encoder, other than some.
    """

    def __init__(self, rate: Fraction | float | None, *, simple: bool = False, opening: Opening = open_h264) -> None:
        nominal = float(rate) if rate else _RATE
        self._rate = nominal if 0 < nominal <= _HIGHEST_RATE else _RATE
        self._simple = simple
        self._opening = opening
        self._encoder: Encoder | None = None
        self._last = -1
        self._key = True
        self.name = ""
        self.stream = 0
        self.size = (0, 0)

    def ask_for_key(self) -> None:
        """Let the next picture be a key picture; may be called from any thread."""
        self._key = True

    def encode(self, picture: Picture, ticks: int) -> Sequence[Encoded]:
        """Encode uint8 BGR (H, W, 3) of `ticks`; raise VideoError where no encoder can.

        Odd sides gain a repeated line, a picture that is not later than the one before is left out.
        """
        height, width = picture.shape[:2]
        picture = _even(picture)
        if self._encoder is not None and picture.shape[:2] != self.size:
            self.close()
        if ticks <= self._last:
            return ()
        self._last = ticks
        failed: set[str] = set()
        while True:
            encoder = self._encoder or self._open(picture, (height, width), frozenset(failed))
            try:
                key, self._key = self._key, False
                return encoder.encode(picture, ticks, key=key)
            except EncoderError as error:
                self._key = True
                failed.add(self.name)
                give_up(self.name, str(error))
                self.close()

    def close(self) -> None:
        """End the stream; the next picture begins another."""
        encoder, self._encoder = self._encoder, None
        self._key = True
        if encoder is not None:
            encoder.close()

    def _open(self, picture: Picture, given: tuple[int, int], failed: frozenset[str]) -> Encoder:
        height, width = picture.shape[:2]
        if min(given) < _SMALLEST:
            raise VideoError(f"a picture of {given[1]}x{given[0]} is too small to be encoded; {_SMALLEST} is the least")
        bits = height * width * self._rate * _BITS_A_PIXEL
        bitrate = round(min(_MOST_BITRATE, max(_LEAST_BITRATE, bits)))
        keys = max(1, round(self._rate * _KEY_SECONDS))
        wanted = Wanted(height, width, self._rate, bitrate, keys, self._simple)
        self.name, self._encoder = self._opening(wanted, failed)
        self.stream += 1
        self.size = (height, width)
        return self._encoder


def _even(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        padded = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return np.asarray(padded, dtype=np.uint8)
    return np.ascontiguousarray(picture)
