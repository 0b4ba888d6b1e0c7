"""How long a server may be away: what is counted and said of it, and when waiting ends."""

import logging
import threading
import time

from segrt.runtime.errors import BackendError
from segrt.runtime.remote.troubles import Trouble
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.channel import Stopped
from segrt.runtime.stream.frame_segmenter import ServerListener

log = logging.getLogger("segrt.remote")
_FULL_SECONDS = (0.02, 0.25)  # a queue has room again soon
_WORDS = {"away": "cannot be reached", "late": "does not answer in time", "full": "has a full queue"}


class Run:
    """One use of a server: who listens, and whether outages may last for ever. `end` ends all waiting."""

    def __init__(self, listener: ServerListener | None = None, *, endless: bool = False) -> None:
        self.listener, self.endless = listener, endless
        self._over = threading.Event()
        self._error: Exception = Stopped()

    def end(self, error: Exception) -> None:
        """Let whoever waits raise `error`."""
        self._error = error
        self._over.set()

    def pause(self, seconds: float) -> None:
        """Wait; raise what `end` was given as soon as it is called."""
        if self._over.wait(seconds):
            raise self._error


class Outages:
    """The state of a server as all threads of a backend see it. `seconds` is how long an outage may last."""

    def __init__(self, where: str, seconds: float, queue_size: int) -> None:
        self._where, self._seconds, self._queue_size = where, seconds, queue_size
        self._lock = threading.Lock()
        self._backoff = Backoff()
        self._lost_since: float | None = None
        self.answered = 0.0
        """When it answered last (monotonic seconds)."""

    def patience(self) -> "Patience":
        """Return the patience for one question."""
        return Patience(self)

    def back(self, run: Run) -> None:
        """Note an answer."""
        self.answered = time.monotonic()
        with self._lock:
            since, self._lost_since = self._lost_since, None
            self._backoff.reset()
        if since is not None:
            log.warning("%s: answers again, after %.1f s", self._where, self.answered - since)
            if run.listener is not None:
                run.listener.server_back()

    def lost(self, trouble: Trouble, run: Run) -> float:
        """Note a failure; return the seconds to wait before the next attempt."""
        with self._lock:
            begins = self._lost_since is None
            if begins:
                self._lost_since = time.monotonic()
            seconds = self._backoff.next()
            say = self._backoff.should_log
        if begins and run.listener is not None:
            run.listener.server_lost()
        if say:
            words = _WORDS.get(trouble.kind, "fails")
            log.warning("%s: %s (%s); trying again in %.1f s", self._where, words, trouble.text, seconds)
        return seconds

    def given_up(self, trouble: Trouble) -> BackendError:
        """Return the error that ends waiting."""
        if trouble.kind == "full":
            limit = f" of {self._queue_size}" if self._queue_size else ""
            return BackendError(
                f"{self._where}: the model's queue{limit} is full, for {self._seconds:g} s already; send fewer "
                "pictures at once, give it more --instances, or a longer patience= in the address"
            )
        remedy = "a longer timeout= in the address" if trouble.kind == "late" else "a longer patience= in the address"
        return BackendError(
            f"{self._where}: {_WORDS[trouble.kind]} ({trouble.text}), for {self._seconds:g} s already; see whether the "
            f"server runs, or give {remedy}"
        )

    @property
    def seconds(self) -> float:
        """How long an outage may last."""
        return self._seconds


class Patience:
    """Waits between the attempts of one question, longer each time, as long as its run has patience."""

    def __init__(self, outages: Outages) -> None:
        self._outages = outages
        self._full = Backoff(*_FULL_SECONDS)
        self._since: float | None = None

    def wait(self, trouble: Trouble, failed: float, run: Run) -> None:
        """Wait before the next attempt after one that failed at `failed`; raise BackendError when that is enough."""
        outages = self._outages
        self._since = self._since or failed
        if trouble.kind != "full" and failed < outages.answered:
            seconds = 0.0  # another question has been answered since: the server is there
        elif trouble.kind == "full":
            seconds = self._full.next()
        else:
            seconds = outages.lost(trouble, run)
        left = self._since + outages.seconds - time.monotonic()
        if not run.endless:
            if left <= 0:
                raise outages.given_up(trouble)
            seconds = min(seconds, left)
        run.pause(seconds)
