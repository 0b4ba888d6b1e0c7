"""The pictures that are measured on: a video, images or the street, decoded as a stream would, or all at once."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

import cv2
import numpy as np

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.preprocess.channel_filling import resized as resize_channels
from segrt.runtime.preprocess.channels import Raster, is_picture, refuse_pictures, wanted
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.stream.sources.source import Source
from segrt.runtime.stream.sources.source_kinds import open_source

Clock = Callable[[], float]
_STREET_PICTURES = 48
_DEFAULT_FPS = 25.0


class Decoded(NamedTuple):
    """A picture as the networks take it, and the milliseconds of decoding it; None for one that was made beforehand."""

    image: Raster
    decode_ms: float | None


class Pictures:
    """An endless supply of pictures from `source`; `fps` is its rate. A file starts over at its end."""

    def __init__(self, source: str, clock: Clock = time.perf_counter) -> None:
        self.source = source
        self._clock = clock
        self._street: list[Picture] = []
        self._input: InputSpec | None = None
        self.fps = _DEFAULT_FPS
        if scheme_of(source) == "street":
            self._street, self.fps = street_pictures(source)
            return
        with_info = open_source(source)
        rate = with_info.info.rate
        self.fps = float(rate) if rate else _DEFAULT_FPS
        if with_info.info.live:
            with_info.close()
            raise SegrtError(
                f"--source {redact(str(source))}: is live, so that every run would see other frames; give a file, "
                "a folder of images or street://"
            )
        with_info.close()

    def give(self, inputs: Sequence[InputSpec]) -> None:
        """Read pictures as the networks' inputs take them; raise SegrtError where they, or the source, cannot."""
        other = next((spec for spec in inputs if not spec.takes_pictures), None)
        kinds = sorted({wanted(spec) for spec in inputs})
        if other is None:
            return
        if len(kinds) > 1:
            raise SegrtError(
                f"the networks take different pictures, {' and '.join(kinds)}; profile one after the other"
            )
        self._input = other
        if self._street:
            refuse_pictures(other, redact(self.source))
        else:
            self._open().close()

    def _open(self) -> Source:
        source = open_source(self.source)
        if self._input is not None:
            source.give(self._input)
        return source

    def __iter__(self) -> Iterator[Decoded]:
        if self._street:
            for index in count():
                yield Decoded(self._street[index % len(self._street)], None)
        while True:
            source = self._open()
            frames = source.frames()
            seen = 0
            try:
                while True:
                    begin = self._clock()
                    frame = next(frames, None)
                    if frame is None:
                        break
                    seen += 1
                    yield Decoded(frame.image, (self._clock() - begin) * 1e3)
            finally:
                source.close()
            if not seen:
                raise VideoError(f"{self.source}: holds no picture; give another source")

    def some(self, number: int) -> list[Raster]:
        """Return the first `number` pictures, over again where there are fewer."""
        supply = iter(self)
        return [next(supply).image for _ in range(number)]


def street_pictures(uri: str) -> tuple[list[Picture], float]:
    """Return some seconds of `street://?seed=1&fps=30&width=1280&height=720`, drawn beforehand, and the rate."""
    from segrt.runtime.stream.sources.street_camera import StreetSource

    street = StreetSource(uri, "street")
    return [street.picture(index) for index in range(_STREET_PICTURES)], street.fps


def resized(image: Raster, size: tuple[int, int] | None) -> Raster:
    """Return `image` as a camera of `size` (H, W) would give it; None leaves it as it is."""
    if size is None or image.shape[:2] == size:
        return image
    smaller = size[0] < image.shape[0]
    if not is_picture(image):
        resize = Resize(interpolation="area" if smaller else "linear")
        given = image[..., None] if image.ndim == 2 else image
        return resize_channels(given, size, resize, rounded=True).reshape(*size, *image.shape[2:])
    return np.asarray(
        cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8
    )
