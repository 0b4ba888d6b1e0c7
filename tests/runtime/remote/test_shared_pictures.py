"""Shared memory: refused for good only by a server that is there; a retired region is used no more; nothing is left."""

import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest

from segrt.runtime.remote import shared_pictures
from segrt.runtime.remote.shared_pictures import SharedPictures, is_this_host


class Unavailable(Exception):  # noqa: N818
    """What tritonclient raises where there is no server."""

    def status(self) -> str:  # noqa: D102
        return "StatusCode.UNAVAILABLE"

    def message(self) -> str:  # noqa: D102
        return "failed to connect"


def left() -> list[Path]:
    return list(Path("/dev/shm").glob(f"segrt-{os.getpid()}-*"))


def test_a_region_is_kept_grown_retired_and_freed() -> None:
    known: dict[str, tuple[str, int]] = {}
    shared = SharedPictures("here", lambda name, key, size: known.update({name: (key, size)}), known.pop)
    first = shared.region((0, 0), 1000)
    assert first is not None
    assert shared.region((0, 0), 900) is first
    assert known == {first.name: (f"/{first.name}", first.size)}
    grown = shared.region((0, 0), first.size + 1)
    assert grown is not None
    assert list(known) == [grown.name], "the server has forgotten the smaller one"
    picture = np.arange(60, dtype=np.uint8).reshape(1, 4, 5, 3)
    grown.write(picture)
    copy = grown.read(0, picture.shape, picture.dtype)
    grown.write(picture * 0)
    assert (copy == picture).all(), "a result is the caller's own"
    shared.retire((0, 0))
    other = shared.region((0, 0), 10)
    assert other is not None
    assert set(known) == {grown.name, other.name}, "a late answer may still be written into the retired one"
    assert len(left()) == 2
    shared.close()
    assert known == {}
    assert left() == []


def test_a_server_that_is_away_has_not_refused(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Exception | None] = [Unavailable(), None, Exception("cannot open it")]

    def register(*_: object) -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    shared = SharedPictures("here", register, lambda _: None)
    assert shared.region((0, 0), 10) is None
    assert caplog.text == ""
    assert shared.region((0, 0), 10) is not None
    assert shared.region((1, 0), 10) is None
    assert shared.region((2, 0), 10) is None, "it is asked no more"
    assert caplog.text.count("shared memory is refused (cannot open it)") == 1
    shared.close()
    assert left() == []


def test_memory_that_is_not_there_is_not_promised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    shared = SharedPictures("here", lambda *_: None, lambda _: None)
    assert shared.region((0, 0), 10) is None
    assert caplog.text.count("shared memory is refused (/dev/shm: No space left on device)") == 1
    assert left() == []


def test_retired_memory_is_bounded_and_freed_when_no_answer_can_come(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []
    shared = SharedPictures("here", lambda *_: None, forgotten.append)
    for _ in range(16):
        assert shared.region((0, 0), 10) is not None
        shared.retire((0, 0))
    assert shared.region((0, 0), 10) is None, "pictures travel over the connection"
    assert len(left()) == 16
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 100)
    assert shared.region((0, 0), 10) is not None
    assert len(forgotten) == 16
    assert len(left()) == 1
    shared.close()
    assert shared.region((0, 0), 10) is None, "nothing is made that nobody frees"
    assert left() == []


def test_a_region_that_the_server_still_uses_is_asked_for_until_it_is_forgotten() -> None:
    known: set[str] = set()
    asked: list[str] = []

    def unregister(name: str) -> None:
        asked.append(name)
        if asked.count(name) < 3:
            raise Exception(f"Cannot unregister shared memory region '{name}', it is currently in use.")
        known.remove(name)

    shared = SharedPictures("here", lambda name, *_: known.add(name), unregister)
    first = shared.region((0, 0), 10)
    assert first is not None
    grown = shared.region((0, 0), first.size + 1)
    assert grown is not None
    assert known == {first.name, grown.name}, "the smaller one is retired"
    shared.close()
    assert known == set()
    assert asked.count(first.name) == asked.count(grown.name) == 3
    assert left() == []


def test_a_server_that_never_forgets_ends_the_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unregister(name: str) -> None:
        raise Exception(f"Cannot unregister shared memory region '{name}', it is currently in use.")

    monkeypatch.setattr(shared_pictures, "_FORGETTING_SECONDS", 0.1)
    shared = SharedPictures("here", lambda *_: None, unregister)
    assert shared.region((0, 0), 10) is not None
    shared.close()
    assert "here: the server keeps 65536 bytes of shared memory until it ends" in caplog.text
    assert left() == []


def test_a_renewal_that_is_refused_retires_the_region() -> None:
    answers: list[Exception | None] = [None, Exception("no such key")]

    def register(*_: object) -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    shared = SharedPictures("here", register, lambda _: None)
    assert shared.region((0, 0), 10) is not None
    shared.renew((0, 0))
    assert shared.region((0, 0), 10) is None
    shared.close()


def test_closed_memory_gives_no_picture() -> None:
    shared = SharedPictures("here", lambda *_: None, lambda _: None)
    region = shared.region((0, 0), 100)
    assert region is not None
    shared.close()
    with pytest.raises(ValueError, match="is closed"):
        region.read(0, (2, 2), np.dtype(np.uint8))


def test_only_addresses_of_this_machine_are_this_host() -> None:
    assert is_this_host("127.0.0.1")
    assert is_this_host("localhost")
    assert not is_this_host("192.0.2.1")
    assert not is_this_host("no-such-host.invalid")
