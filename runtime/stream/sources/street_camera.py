"""The procedural street as a camera."""

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar
from urllib.parse import urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.uri import redact
from segrt.runtime.stream import timecode
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sources.live import LiveOptions
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.uri_options import EDGES, flag, number, read_query, read_size, whole, word
from segrt.runtime.streetworld import WIDEST, StreetWorld

_LATE = 0.2  # seconds; who is later than this skips frames, as a camera does


class StreetSource(Source):
    """The street of a seed, at its own speed: `street://?seed=1&fps=30&width=1280&height=720&weather=rain&timecode=1`.

    A frame is captured when its moment has come. Where drawing is slower than `fps`, moments are left out.
    `wide=4` is a camera that sees four times as much to each side (see `StreetWorld`). `timecode` writes the capture
    time into the picture (see `timecode`).
    """

    forms: ClassVar = {"street": "street://?seed=1"}
    options: ClassVar = {
        "seed": whole(0, 2**32),
        "fps": number(0.1, 240),
        **EDGES,
        "weather": word,
        "wide": whole(1, WIDEST),
        "timecode": flag,
    }

    def __init__(self, uri: str, source_id: str, options: LiveOptions | None = None) -> None:  # noqa: ARG002
        parts = urlsplit(uri)
        if parts.netloc or parts.path.strip("/"):
            raise VideoError(
                f"{redact(uri)}: a street has no host or path; give street://?seed=1&fps=30&width=1280&height=720"
            )
        given = read_query(uri, self.options)
        self._world = StreetWorld(given.get("seed", 0), weather=given.get("weather"), wide=given.get("wide", 1))
        width, height = read_size(uri, given) or (640, 360)
        self._size = (height, width)
        self.fps = float(given.get("fps", 25.0))
        self._timecode = bool(given.get("timecode", False))
        self._stopped = threading.Event()
        self.info = SourceInfo(source_id, rate=Fraction(self.fps).limit_denominator(1001), live=True)

    def picture(self, index: int) -> Picture:
        """Return the picture of moment `index`, uint8 BGR (H, W, 3), at once."""
        return self._world.render(index / self.fps, self._size).image

    def frames(self) -> Iterator[Frame]:
        """Yield frames until `stop`."""
        self.listener.entered_state(self.info.source_id, "live")
        start = time.monotonic()
        moment = index = 0
        while True:
            due = start + moment / self.fps
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            image = self.picture(moment)
            if self._timecode:
                timecode.burn(image, due)
            yield Frame(image, index, moment / self.fps, due, self.info.source_id)
            index += 1
            behind = time.monotonic() - start - (moment + 1) / self.fps
            moment += 1 + (int(behind * self.fps) if behind > _LATE else 0)

    def stop(self) -> None:
        """Let `frames` end."""
        self._stopped.set()
