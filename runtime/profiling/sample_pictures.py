"""The pictures that are measured on: a video, images or the street, decoded as a stream would, or all at once."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import cv2
import numpy as np

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.stream.sources.source_kinds import open_source

Clock = Callable[[], float]
_STREET_PICTURES = 48
_DEFAULT_FPS = 25.0


class Decoded(NamedTuple):
    """A picture, uint8 BGR (H, W, 3), and the milliseconds of decoding it; None for one that was made beforehand."""

    image: Picture
    decode_ms: float | None


class Pictures:
    """An endless supply of pictures from `source`; `fps` is its rate. A file starts over at its end."""

    def __init__(self, source: str, clock: Clock = time.perf_counter) -> None:
        self.source = source
        self._clock = clock
        self._street: list[Picture] = []
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

    def __iter__(self) -> Iterator[Decoded]:
        if self._street:
            for index in count():
                yield Decoded(self._street[index % len(self._street)], None)
        while True:
            source = open_source(self.source)
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

    def some(self, number: int) -> list[Picture]:
        """Return the first `number` pictures, over again where there are fewer."""
        supply = iter(self)
        return [next(supply).image for _ in range(number)]


def street_pictures(uri: str) -> tuple[list[Picture], float]:
    """Return some seconds of `street://?seed=1&fps=30&width=1280&height=720`, drawn beforehand, and the rate."""
    from segrt.runtime.stream.sources.street_camera import StreetSource

    street = StreetSource(uri, "street")
    return [street.picture(index) for index in range(_STREET_PICTURES)], street.fps


def resized(image: Picture, size: tuple[int, int] | None) -> Picture:
    """Return `image` as a camera of `size` (H, W) would give it; None leaves it as it is."""
    if size is None or image.shape[:2] == size:
        return image
    smaller = size[0] < image.shape[0]
    return np.asarray(
        cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8
    )
