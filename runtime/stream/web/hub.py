"""Between the sink's thread, which has results, and the server's loop, which has browsers."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from segrt.runtime.results import Label, Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.zones.zone_totals import Tallies

MOST_CLIENTS = 32
MOST_PAGES = 5
"""Pages of one browser that may watch: it makes six connections to a place at most, and needs one to ask with."""


class Newest(NamedTuple):
    """The latest result of a source: `time`, in seconds since 1970, is that of the capture, `age_ms` the result's."""

    frame: Frame
    result: Result
    time: float
    age_ms: float


class Encode(Protocol):
    """Makes a message: see `frame_message.message`."""

    def __call__(  # noqa: D102
        self, frame: Frame, result: Result, tallies: Tallies | None, *, pictured: bool, ticks: int | None
    ) -> bytes: ...


class Client:
    """One browser: it has the newest message it has not been sent, and no other; `pictured` ones have pictures."""

    def __init__(self, source_id: str, browser: str = "", *, pictured: bool = True) -> None:
        self.source_id = source_id
        self.browser = browser
        self.pictured = pictured
        self.dropped = 0
        self._message: bytes | None = None
        self._changed = asyncio.Event()
        self.gone = False

    def offer(self, message: bytes) -> None:
        """Give the newest message; one that waits is dropped."""
        self.dropped += self._message is not None
        self._message = message
        self._changed.set()

    def leave(self) -> None:
        """Let `next` return None."""
        self.gone = True
        self._changed.set()

    async def next(self) -> bytes | None:
        """Wait for the newest message; None when there will be none."""
        while self._message is None and not self.gone:
            self._changed.clear()
            await self._changed.wait()
        message, self._message = self._message, None
        return None if self.gone else message


class Hub:
    """Keeps the latest result of each source and hands messages to the clients that watch it.

    `encode` makes a message of a frame, its result, and what `tallies` gives for its source.
    """

    def __init__(
        self,
        encode: Encode,
        most_clients: int = MOST_CLIENTS,
        tallies: Callable[[str], Tallies | None] = lambda _: None,
    ) -> None:
        self._encode = encode
        self._tallies = tallies
        self._most = most_clients
        self._lock = threading.Lock()
        self._latest: dict[str, Newest] = {}
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.source_ids: list[str] = []
        self.labels: tuple[Label, ...] = ()
        self.technique = ""

    def start(self, source_ids: Sequence[str]) -> None:
        """Learn the sources."""
        self.source_ids = list(source_ids)

    def publish(self, frame: Frame, result: Result, ticks: int | None = None) -> None:
        """Take a result; encode it if anybody watches its source, once with the picture and once without.

        `ticks` is the frame's time in the video that browsers may have in its place.
        """
        age = time.monotonic() - frame.capture_time
        newest = Newest(frame, result, time.time() - age, round(age * 1e3, 1))
        with self._lock:
            self._latest[frame.source_id] = newest
            watched = {client.pictured for client in self._clients if client.source_id == frame.source_id}
            loop = self._loop
        self.labels = result.labels
        self.technique = type(result).__name__.removesuffix("Result").lower()
        if loop is None:
            return
        for pictured in watched:
            tallies = self._tallies(frame.source_id)
            message = self._encode(frame, result, tallies, pictured=pictured, ticks=ticks)
            loop.call_soon_threadsafe(self._hand_out, frame.source_id, pictured, message)

    def latest(self, source_id: str) -> Newest | None:
        """Return the latest frame and result of a source."""
        with self._lock:
            return self._latest.get(source_id)

    def add(self, source_id: str, browser: str = "", *, pictured: bool = True) -> Client | str:
        """Add a client, in the server's loop; return why it has to wait when there are too many.

        `browser` is the same for all pages of one browser, "" where that is not known.
        """
        with self._lock:
            if len(self._clients) >= self._most:
                return f"{self._most} pages are watching, which is the most; this one goes on when one leaves"
            pages = Counter(client.browser for client in self._clients)
            if browser and pages[browser] >= MOST_PAGES:
                return (
                    f"{MOST_PAGES} pages of this browser are watching, and it makes no more connections; "
                    "this one goes on when one is closed"
                )
            self._loop = asyncio.get_running_loop()
            client = Client(source_id, browser, pictured=pictured)
            self._clients.add(client)
            return client

    def remove(self, client: Client) -> None:
        """Remove a client."""
        client.leave()
        with self._lock:
            self._clients.discard(client)

    def clients(self) -> int:
        """Return how many browsers watch."""
        with self._lock:
            return len(self._clients)

    def close(self) -> None:
        """Let all clients leave; called from any thread."""
        with self._lock:
            loop, clients = self._loop, list(self._clients)
        if loop is not None and not loop.is_closed():
            for client in clients:
                loop.call_soon_threadsafe(client.leave)

    def _hand_out(self, source_id: str, pictured: bool, message: bytes) -> None:
        with self._lock:
            clients = [one for one in self._clients if one.source_id == source_id and one.pictured == pictured]
        for client in clients:
            client.offer(message)
