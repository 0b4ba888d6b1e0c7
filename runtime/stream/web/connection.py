"""One connection to the live page's server, and how long it may take for what.

A request has to be there, whole, a few seconds after the connection was made or the last answer was given, however
busily it dribbles in. An answer has to be read at some least speed.
"""

import asyncio
import ipaddress
import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from segrt.runtime.stream.web.access import ADMITTED

REQUEST_SECONDS = 5.0
SEND_SECONDS = 5.0
_LEAST_SENT = 16_384  # bytes that a reader takes in SEND_SECONDS at least


class Connection(H11Protocol):
    """A connection that is closed when its client keeps it waiting.

    `since` is when it began to do what it does now, in monotonic seconds.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.since = time.monotonic()
        self._request_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def admitted(self) -> bool:
        """Whether its last request was one that may know everything; false before the first."""
        return bool(self.scope and self.scope.get(ADMITTED))

    @property
    def stuck(self) -> bool:
        """Whether its client does not read as fast as it is answered."""
        return self.flow.write_paused

    @property
    def peer(self) -> str:
        """The client's address; of an IPv6 address the first half, for whoever has one has all of them."""
        try:
            address = ipaddress.ip_address(self.client[0] if self.client else "")
        except ValueError:
            return ""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
            return address.packed[:8].hex()
        return str(address)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what has come; with a whole request the waiting ends."""
        was_answering = self.answering
        super().handle_events()
        if self.answering and not was_answering:
            self.since = time.monotonic()
            if self._request_timer is not None:
                self._request_timer.cancel()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless the last one goes on with a body that nobody has asked for."""
        self._wait()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """See to it that the client goes on reading."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """Leave the client in peace."""
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()

    def drop(self) -> None:
        """End at once; what was not sent is lost."""
        self._cancel()
        self.transport.abort()

    def _wait(self) -> None:
        self.since = time.monotonic()
        if self._request_timer is not None:
            self._request_timer.cancel()
        self._request_timer = self.loop.call_later(REQUEST_SECONDS, self._end_waiting)

    def _end_waiting(self) -> None:
        self.transport.close()
        if self.transport.get_write_buffer_size():  # closing waits until all of it is sent
            self._watch_sending()

    def _watch_sending(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
        self._send_timer = self.loop.call_later(SEND_SECONDS, self._look, self.transport.get_write_buffer_size())

    def _look(self, before: int) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent > before - _LEAST_SENT:
            self.transport.abort()
        else:
            self._watch_sending()

    def _cancel(self) -> None:
        for timer in (self._request_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
