"""Which frames are taken, and when: at a source's own speed, not too many, not too old, not too early."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from segrt.runtime.errors import SegrtError
from segrt.runtime.stream.frame import Frame

_MARGIN_SECONDS = 0.004
_REMEMBERED = 8


@dataclass(frozen=True)
class Thinning:
    """Which frames are wanted: every n-th, at most `target_fps` a second of each source, none older than `max_age`.

    `max_age` are seconds between the capture of a frame and its way into the network.
    """

    every: int = 1
    target_fps: float | None = None
    max_age: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SegrtError(f"every must be at least 1, but got {self.every}")
        for name in ("target_fps", "max_age"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SegrtError(f"{name} must be above 0, but got {value}")

    def start(self) -> Callable[[Frame], bool]:
        """Return a function that says of each frame of one source whether it is wanted."""
        due: float | None = None

        def wanted(frame: Frame) -> bool:
            nonlocal due
            if frame.index % self.every:
                return False
            if self.target_fps is None:
                return True
            now = frame.capture_time if frame.pts is None else frame.pts
            period = 1 / self.target_fps
            # Half a millisecond of slack: times are rounded to the container's ticks.
            if due is not None and due - period <= now < due - 5e-4:
                return False
            due = now + period if due is None or abs(now - due) > period else due + period
            return True

        return wanted

    def too_old(self, frame: Frame) -> bool:
        """Say whether a frame has waited for too long."""
        return self.max_age is not None and time.monotonic() - frame.capture_time > self.max_age


class NetworkForecast:
    """Estimates when the network will be free, so that the next frame for it is taken no sooner.

    A frame that is taken while another is in the network waits there and ages, when the camera has newer ones.
    """

    def __init__(self) -> None:
        self._inference: deque[float] = deque(maxlen=_REMEMBERED)
        self._preprocess = 0.0
        self._done_at = 0.0
        self._in_flight = 0
        self._lock = Lock()

    def submitted(self, preprocess_ms: float) -> None:
        """Note a frame's way into the network."""
        with self._lock:
            self._preprocess = max(preprocess_ms / 1e3, 0.8 * self._preprocess)
            self._in_flight += 1
            self._done_at = max(self._done_at, time.monotonic()) + min(self._inference, default=0.0)

    def finished(self, inference_ms: float) -> None:
        """Note that the network is done with a frame, and how long it took."""
        with self._lock:
            self._inference.append(inference_ms / 1e3)
            self._in_flight -= 1
            self._done_at = time.monotonic() + self._in_flight * min(self._inference)

    def seconds(self) -> float:
        """Return the seconds until a frame should be taken."""
        return self._done_at - time.monotonic() - self._preprocess - _MARGIN_SECONDS


class Pace:
    """When a frame is due if its source is played at its own speed."""

    def __init__(self) -> None:
        self._origin: float | None = None

    def seconds_until(self, pts: float | None) -> float:
        """Return the seconds until the frame of `pts` is due; one without a time is due at once."""
        if pts is None:
            return 0.0
        now = time.monotonic()
        if self._origin is None:
            self._origin = now - pts
        return self._origin + pts - now
