"""The backend asks again after what may pass, never with memory that a late answer may still be written into."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BackendError, ImageError
from segrt.runtime.remote.address import read_address
from segrt.runtime.remote.description import Description, ServedBundle
from segrt.runtime.remote.served_connection import Question, Reply
from segrt.runtime.remote.triton_backend import ANSWERS, TritonBackend
from segrt.runtime.remote.troubles import Trouble

PICTURE = np.zeros((24, 48, 3), np.uint8)
Answering = Callable[[Question, Reply], None]


class FakeServer:
    """Answers questions by a list of functions, the last one for ever."""

    def __init__(self, query: str, *answering: Answering) -> None:
        self.address = read_address(f"triton://127.0.0.1/tiny?{query}")
        self.queue_size = 0
        self.questions: list[Question] = []
        self._answering = list(answering)

    def register(self, *_: object) -> None:
        """Take any memory."""

    def unregister(self, *_: object) -> None:
        """Forget it."""

    def close(self) -> None:
        """Do nothing."""

    def ask(self, question: Question, reply: Reply) -> None:
        """Let the next function answer."""
        self.questions.append(question)
        (self._answering.pop(0) if len(self._answering) > 1 else self._answering[0])(question, reply)


def answered(_: Question, reply: Reply) -> None:
    reply.tensors = {"class_map": np.zeros((1, 24, 48), np.uint8), "nonfinite_heads": np.zeros((1, 1), np.int32)}
    reply.done.set()


def never(_: Question, __: Reply) -> None:
    """Leave it without an answer."""


def failing(kind: str, error: Exception | None = None) -> Answering:
    def answer(_: Question, reply: Reply) -> None:
        reply.trouble = Trouble(kind, kind, error)  # type: ignore[arg-type]
        reply.arrived = time.monotonic()
        reply.done.set()

    return answer


def backend_on(tiny: SimpleNamespace, server: FakeServer, batch: int = 1) -> TritonBackend:
    manifest = read_bundle(tiny.bundle("argmax")).manifest
    described = Description(1, "0", "0", "fp32", "x", "cpu", "cpu", "", msgspec.Raw(b"{}"))
    served = ServedBundle(described, manifest, manifest.variants[0])
    return TritonBackend(server, served, batch=batch, parameters={})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["late", "away"])
def test_a_question_that_is_asked_again_gets_memory_of_its_own(tiny: SimpleNamespace, kind: str) -> None:
    server = FakeServer("", failing(kind), answered)
    with backend_on(tiny, server) as backend:
        slot = backend.acquire()
        backend.put(slot, 0, PICTURE)
        assert len(backend.execute(slot)[ANSWERS].array) == 1
        first, second = (question.region for question in server.questions)
        assert first is not None
        assert second is not None
        assert first.name != second.name
        backend.release(slot)


def test_what_is_left_unanswered_is_written_into_no_more(tiny: SimpleNamespace) -> None:
    server = FakeServer("in_flight=2", failing("final", ImageError("bad")), never, answered)
    with backend_on(tiny, server, batch=2) as backend:
        slot = backend.acquire()
        for index in range(2):
            backend.put(slot, index, PICTURE)
        with pytest.raises(ImageError, match="bad"):
            backend.execute(slot)
        backend.release(slot)
        again = backend.acquire()
        assert again is slot
        for index in range(2):
            backend.put(slot, index, PICTURE)
        backend.execute(slot)
        backend.release(slot)
        regions = [question.region for question in server.questions]
        assert regions[0] is regions[2], "an answered place keeps its memory"
        assert regions[1] is not regions[3]


def test_the_end_of_patience_is_an_error(tiny: SimpleNamespace) -> None:
    with backend_on(tiny, FakeServer("patience=0", failing("full"))) as backend:
        slot = backend.acquire()
        backend.put(slot, 0, PICTURE)
        with pytest.raises(BackendError, match="queue is full, for 0 s already"):
            backend.execute(slot)
        backend.release(slot)


def test_closing_ends_the_waiting(tiny: SimpleNamespace) -> None:
    backend = backend_on(tiny, FakeServer("", never))
    slot = backend.acquire()
    backend.put(slot, 0, PICTURE)
    backend.submit(slot)
    backend.close()
    with pytest.raises(BackendError, match="is closed"):
        backend.wait(slot)


def test_a_full_queue_keeps_the_memory_of_what_it_refused(tiny: SimpleNamespace) -> None:
    server = FakeServer("", failing("full"), failing("full"), answered)
    with backend_on(tiny, server) as backend:
        slot = backend.acquire()
        backend.put(slot, 0, PICTURE)
        backend.execute(slot)
        backend.release(slot)
    first, *others = (question.region for question in server.questions)
    assert first is not None
    assert all(other is first for other in others)


def test_a_server_that_never_knows_the_memory_gets_the_picture_itself(tiny: SimpleNamespace) -> None:
    server = FakeServer("", failing("region"), failing("region"), answered)
    with backend_on(tiny, server) as backend:
        slot = backend.acquire()
        backend.put(slot, 0, PICTURE)
        assert len(backend.execute(slot)[ANSWERS].array) == 1
        backend.release(slot)
    regions = [question.region for question in server.questions]
    assert regions[0] is regions[1]
    assert regions[2] is None


def test_a_complaint_about_memory_that_nobody_shares_is_an_error(tiny: SimpleNamespace) -> None:
    with backend_on(tiny, FakeServer("encoding=png", failing("region"))) as backend:
        slot = backend.acquire()
        backend.put(slot, 0, PICTURE)
        with pytest.raises(BackendError, match="region"):
            backend.execute(slot)
        backend.release(slot)
