"""The live page's server: uvicorn's, with its own way of taking connections."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio.to_thread
import uvicorn

from segrt.runtime.stream.web.access import App
from segrt.runtime.stream.web.admission import MOST_PER_SECOND, Budget, Pace, least_missed
from segrt.runtime.stream.web.connection import Connection

_LONGEST_REQUEST = 16_384  # bytes of request line and headers
_WORKERS = 2  # threads that encode pictures and compute percentiles
_EXHAUSTED_SECONDS = 0.1


class PageServer(uvicorn.Server):
    """Serves `app` to those who connect to `listening`, within `budget`.

    Everybody is let in, so that health can always be asked; when there are too many, the one that is missed least
    leaves. Connections come no faster than they can be dealt with beside a recording: the rest waits in the kernel.
    `leaving` ends what the application has opened in the server's loop.
    """

    def __init__(
        self, app: App, listening: socket.socket, budget: Budget, leaving: Callable[[], Awaitable[None]]
    ) -> None:
        served: Any = app
        self._leaving = leaving
        super().__init__(
            uvicorn.Config(
                served,
                http=Connection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=_LONGEST_REQUEST,
                timeout_graceful_shutdown=1,
            )
        )
        self._listening = listening
        self._budget = budget
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 (it has its own)
        """Begin to take connections."""
        await super().startup(sockets=[])
        anyio.to_thread.current_default_thread_limiter().total_tokens = _WORKERS
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        self._accepting.add_done_callback(self._stop)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections and end those that there are."""
        if self._accepting is not None:
            self._accepting.cancel()
        await super().shutdown(sockets=sockets)
        await self._leaving()  # after the pages have read the end of their stream: a broken video is no end

    def _stop(self, _accepting: "asyncio.Task[None]") -> None:
        """End with the task that takes connections: a server that takes none is noticed, and begun again."""
        self.should_exit = True

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        pace = Pace(MOST_PER_SECOND, self._budget.connections)
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listening)
            except OSError:  # no descriptor is free, or the client has gone already
                self._make_room()
                await asyncio.sleep(_EXHAUSTED_SECONDS)
                continue
            if (not self._has_room(accepted) and not self._make_room()) or accepted.fileno() >= self._budget.highest:
                accepted.close()
            else:
                await self._serve_connection(loop, accepted)
            await asyncio.sleep(pace.delay())

    async def _serve_connection(self, loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
        def protocol() -> Connection:
            state: dict[str, Any] = {}
            return Connection(config=self.config, server_state=self.server_state, app_state=state, _loop=loop)

        try:
            await loop.connect_accepted_socket(protocol, accepted)
        except OSError:
            accepted.close()

    def _has_room(self, accepted: socket.socket) -> bool:
        held = len(self.server_state.connections)
        return held < self._budget.connections and accepted.fileno() < self._budget.highest

    def _make_room(self) -> bool:
        """End the connection that is missed least; say whether there was one."""
        held = [connection for connection in self.server_state.connections if isinstance(connection, Connection)]
        leaving = least_missed(held)
        if leaving is None:
            return False
        # Its descriptor is free when the loop comes round; until then it counts no more.
        self.server_state.connections.discard(leaving)
        with suppress(OSError):
            leaving.drop()
        return True
