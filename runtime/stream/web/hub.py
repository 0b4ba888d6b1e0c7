"""Between the sink's thread, which has results, and the server's loop, which has browsers."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from segrt.runtime.results import Label, Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.web.viewers import Client, Viewers
from segrt.runtime.zones.zone_totals import Tallies

MOST_CLIENTS = 32


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
        self._viewers = Viewers(most_clients)
        self._lock = threading.Lock()
        self._latest: dict[str, Newest] = {}
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
            watched = {client.pictured for client in self._viewers if client.source_id == frame.source_id}
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

    def add(self, client: Client) -> str | None:
        """Add a client, in the server's loop; return why it has to wait when there are too many."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            return self._viewers.admit(client)

    def remove(self, client: Client) -> None:
        """Remove a client."""
        client.leave()
        with self._lock:
            self._viewers.remove(client)

    def clients(self) -> int:
        """Return how many browsers watch."""
        with self._lock:
            return len(self._viewers)

    def close(self) -> None:
        """Let all clients leave; called from any thread."""
        with self._lock:
            loop, clients = self._loop, list(self._viewers)
        if loop is not None and not loop.is_closed():
            for client in clients:
                loop.call_soon_threadsafe(client.leave)

    def _hand_out(self, source_id: str, pictured: bool, message: bytes) -> None:
        with self._lock:
            clients = [one for one in self._viewers if one.source_id == source_id and one.pictured == pictured]
        for client in clients:
            client.offer(message)
