"""The live page's messages: made once for all who watch, and not at all for nobody."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from segrt.runtime.stream.web.hub import Hub


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
        clients = [hub.add("door"), hub.add("door"), hub.add("door")]
        for source_id in ("yard", "door", "yard"):
            publish(source_id)
        messages = [await client.next() for client in clients]  # type: ignore[union-attr]
        for client in clients:
            hub.remove(client)  # type: ignore[arg-type]
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
