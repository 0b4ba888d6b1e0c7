"""The live page's messages: made once for all who watch, and not at all for nobody; who may watch."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from segrt.runtime.stream.web.hub import Hub
from segrt.runtime.stream.web.viewers import Client, Viewers


def test_a_result_is_encoded_once_for_all_who_watch_its_source_and_never_for_nobody() -> None:
    encoded: list[str] = []

    def encode(frame: Any, _result: Any, _tallies: Any, *, pictured: bool, ticks: int | None) -> bytes:
        assert pictured
        assert ticks is None
        encoded.append(frame.source_id)
        return f"message {len(encoded)}".encode()

    def publish(source_id: str) -> None:
        frame = SimpleNamespace(source_id=source_id, capture_time=time.monotonic())
        hub.publish(frame, SimpleNamespace(labels=()))  # type: ignore[arg-type]

    async def watched() -> list[bytes | None]:
        clients = [Client("door") for _ in range(3)]
        assert [hub.add(client) for client in clients] == [None] * 3
        for source_id in ("yard", "door", "yard"):
            publish(source_id)
        messages = [await client.next() for client in clients]
        for client in clients:
            hub.remove(client)
        publish("door")
        return messages

    hub = Hub(encode)
    hub.start(["door", "yard"])
    publish("door")
    assert encoded == []
    messages = asyncio.run(watched())
    assert encoded == ["door"]
    assert messages == [b"message 1"] * 3
    assert all(message is messages[0] for message in messages)
    newest = hub.latest("door")
    assert newest is not None


def test_a_page_that_asks_for_something_else_keeps_its_place() -> None:
    viewers = Viewers(most=6)
    pages = [Client("door", "browser", str(number)) for number in range(5)]
    assert [viewers.admit(page) for page in pages] == [None] * 5
    sixth = viewers.admit(Client("door", "browser", "5"))
    assert sixth is not None
    assert sixth.startswith("5 pages of this browser")
    again = Client("yard", "browser", "3", pictured=False)
    assert viewers.admit(again) is None, "the page before has not left yet"
    assert [page.gone for page in pages] == [False, False, False, True, False]
    viewers.remove(pages[3])
    assert set(viewers) == {*pages[:3], again, pages[4]}
    assert viewers.admit(Client("door", "other", "3")) is None
    full = viewers.admit(Client("door", "third"))
    assert full is not None
    assert full.startswith("6 pages are watching")
    assert viewers.admit(Client("door", "other", "3")) is None
    assert len(viewers) == 6


def test_requests_that_name_no_page_are_of_different_ones() -> None:
    viewers = Viewers(most=2)
    assert [viewers.admit(Client("door")) for _ in range(2)] == [None, None]
    assert viewers.admit(Client("door")) is not None
