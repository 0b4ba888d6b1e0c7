"""Who watches: no more pages than may, each with one place, which it keeps while it asks for something else."""

import asyncio
from collections.abc import Iterator

MOST_PAGES = 5
"""Pages of one browser that may watch: it makes six connections to a place at most, and needs one to ask with."""


class Client:
    """One page that watches: it has the newest message it has not been sent, no other; `pictured` ones have pictures.

    `browser` is the same for all pages of one browser, `page` for all requests of one page; "" where that is not known.
    """

    def __init__(self, source_id: str, browser: str = "", page: str = "", *, pictured: bool = True) -> None:
        self.source_id = source_id
        self.browser = browser
        self.page = page
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


class Viewers:
    """The clients that watch, `most` of them at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._clients: set[Client] = set()

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._clients)

    def admit(self, client: Client) -> str | None:
        """Give a client a place, that of its page's earlier one, which leaves; else return why it has to wait."""
        earlier = {one for one in self._clients if client.page and _page_of(one) == _page_of(client)}
        others = self._clients - earlier
        if len(others) >= self._most:
            return f"{self._most} pages are watching, which is the most; this one goes on when one leaves"
        if client.browser and sum(one.browser == client.browser for one in others) >= MOST_PAGES:
            return (
                f"{MOST_PAGES} pages of this browser are watching, and it makes no more connections; "
                "this one goes on when one is closed"
            )
        for one in earlier:
            one.leave()
        self._clients = others | {client}
        return None

    def remove(self, client: Client) -> None:
        """Free a client's place, if it still has it."""
        self._clients.discard(client)


def _page_of(client: Client) -> tuple[str, str]:
    return client.browser, client.page
