"""Live sources: whatever goes wrong with the camera, the source goes on, and says and counts what happened.

A `Feed` is one connection to a camera; `LiveSource` opens a new one, after a growing pause, whenever one fails. A
feed that ends has failed, too. All times are monotonic: the wall clock may jump.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.uri import redact_error
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.frame import Frame, frame_of
from segrt.runtime.stream.sources.frozen_picture import PictureWatch
from segrt.runtime.stream.sources.source import Source, SourceInfo

if TYPE_CHECKING:
    from segrt.runtime.preprocess.cuda.device_picture import DevicePicture

log = logging.getLogger("segrt.stream")
READ_TIMEOUT = 4.0
_REFUSALS = 3  # in a row, before a camera ever gave a picture, that are taken for an answer


@dataclass(frozen=True)
class LiveOptions:
    """How live sources are read.

    `read_timeout`: seconds without data that mean a hang; `rtsp_transport`: "tcp" or "udp"; `frozen_after`: seconds of
    one and the same picture, or of black, that are worth a report.
    """

    read_timeout: float = READ_TIMEOUT
    rtsp_transport: str = "tcp"
    frozen_after: float = 5.0


@dataclass(frozen=True, eq=False)
class Shot:
    """What a feed reads: a picture, uint8 BGR (H, W, 3) or on the GPU, its time in the feed's seconds, its capture."""

    picture: "Picture | DevicePicture"
    pts: float | None
    capture_time: float


class RefusedError(VideoError):
    """What no further attempt will mend: user or password are refused, or an address of a kind that is not known."""


class Feed(ABC):
    """One connection to a camera."""

    @abstractmethod
    def read(self) -> Shot:
        """Return the next picture; raise VideoError when there is none in time, or no more."""

    def close(self) -> None:
        """End the connection."""
        return


class LiveSource(Source):
    """Reads feeds from `connect`, a new one whenever one fails, until `stop`.

    A camera that refuses (`RefusedError`) three times before it ever gave a picture is left: more attempts succeed no
    better, and may lock the account. `refusal` then says why.

    `Frame.pts` counts from the source's first frame: the feeds' own steps, and the outages between feeds as long as
    they were. A resolution may change from frame to frame. Reports hide the secrets of `address`. `backoff` and `clock`
    are for tests.
    """

    def __init__(
        self,
        source_id: str,
        connect: Callable[[], Feed],
        *,
        options: LiveOptions | None = None,
        address: str = "",
        rate: Fraction | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.info = SourceInfo(source_id=source_id, rate=rate, live=True)
        self._connect = connect
        self._address = address
        self._options = options or LiveOptions()
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._stopped = threading.Event()
        self._connections = 0
        self._refusals = 0
        self._state: str | None = None
        self._size: tuple[int, int] | None = None

    def frames(self) -> Iterator[Frame]:
        """Yield frames for as long as nobody calls `stop`."""
        index, timeline = 0, _Timeline()
        while not self._stopped.is_set():
            feed: Feed | None = None
            watch = PictureWatch(self._options.frozen_after)
            timeline.begin()
            connected = False
            try:
                self._enter("connecting")
                feed = self._connect()
                while not self._stopped.is_set():
                    shot = feed.read()
                    if not connected:
                        connected = True
                        self._connected()
                    self._look(watch, shot)
                    pts = timeline.pts(shot)
                    if self.tap is not None and shot.pts is not None:
                        self.tap.align(pts - shot.pts)
                    yield frame_of(shot.picture, index, pts, shot.capture_time, self.info.source_id)
                    index += 1
            except (SegrtError, OSError, ValueError) as error:  # ValueError is what PyAV raises for some wrong data
                reason = redact_error(str(error), self._address)
                self._refusals = self._refusals + 1 if isinstance(error, RefusedError) else 0
            finally:
                if feed is not None:
                    with suppress(Exception):  # a broken connection may be closed in a broken way
                        feed.close()
            if self._stopped.is_set():
                return
            self._enter("lost")
            if self._refusals >= _REFUSALS and self._connections == 0:
                self.refusal = f"{self.info.source_id}: {reason}, {_REFUSALS} times; check user, password and address"
                log.error("%s", self.refusal)
                return
            seconds = self._backoff.next()
            if self._backoff.should_log:
                log.warning("%s: %s; trying again in %.1f s", self.info.source_id, reason, seconds)
            self._stopped.wait(seconds)

    def stop(self) -> None:
        """Let `frames` end: at once while it waits to try again, else with the next frame or timeout."""
        self._stopped.set()

    def _connected(self) -> None:
        self._connections += 1
        if self._connections > 1:
            self.listener.reconnected(self.info.source_id)
            log.warning("%s: connected again (%d reconnects)", self.info.source_id, self._connections - 1)
        self._backoff.reset()
        self._enter("live")

    def _look(self, watch: PictureWatch, shot: Shot) -> None:
        size = shot.picture.shape[:2]
        if self._size not in (None, size):
            log.warning("%s: the picture is now %dx%d", self.info.source_id, size[1], size[0])
        self._size = size
        state = watch.look(shot.picture, self._clock()) or "live"
        if state != self._state:
            if state == "live":
                log.warning("%s: the picture lives again", self.info.source_id)
            else:
                seconds = self._options.frozen_after
                log.warning(
                    "%s: the picture has been %s for %.0f s; check the camera", self.info.source_id, state, seconds
                )
            self._enter(state)

    def _enter(self, state: str) -> None:
        self._state = state
        self.listener.entered_state(self.info.source_id, state)


class _Timeline:
    """Puts the times of one feed after another on one line that begins at 0."""

    def __init__(self) -> None:
        self._origin: float | None = None
        self._offset: float | None = None
        self._last = -1.0

    def begin(self) -> None:
        """Begin a new feed."""
        self._offset = None

    def pts(self, shot: Shot) -> float:
        """Return the seconds of `shot` since the first shot of the first feed."""
        if self._origin is None:
            self._origin = shot.capture_time
        since = shot.capture_time - self._origin
        if shot.pts is None:
            pts = since
        else:
            if self._offset is None or abs(shot.pts + self._offset - since) > 10:  # the feed's clock has jumped
                self._offset = since - shot.pts
            pts = shot.pts + self._offset
        self._last = pts = max(pts, self._last + 1e-3)
        return pts
