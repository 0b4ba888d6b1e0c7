"""A Triton server as a backend: a slot's pictures are requests, what `wait` returns are the answers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.tensors import Array, Head, Slot
from segrt.runtime.remote.description import ServedBundle
from segrt.runtime.remote.outages import Outages, Run
from segrt.runtime.remote.result_tensors import ENCODED, IMAGE, map_kind, result_kinds
from segrt.runtime.remote.served_connection import Question, Reply, Server
from segrt.runtime.remote.shared_pictures import Region, SharedPictures, is_this_host
from segrt.runtime.remote.troubles import Trouble
from segrt.runtime.stream.channel import Stopped
from segrt.runtime.stream.frame_segmenter import ServerListener

ANSWERS = "answers"
"""The one "head" of this backend: its array is a list, for each place of the batch the tensors of its result."""
_WIDEST = 2  # bytes of a map's value
_TICK_SECONDS = 0.1
_LAST_ANSWERS_SECONDS = 0.5


@dataclass(eq=False)
class _Asked:
    """A picture on its way: how it is asked for, the reply, when it was sent."""

    index: int
    name: str
    array: npt.NDArray[Any]
    reply: Reply


class TritonBackend(Backend):
    """Asks a server for results; as many slots as pictures may be in flight, so that whoever fills them waits.

    A server that is away is asked again and again, with growing pauses, until the address's patience is over; in a
    run with live sources for as long as the run lasts.
    """

    name = "triton"

    def __init__(self, server: Server, served: ServedBundle, *, batch: int, parameters: Mapping[str, str]) -> None:
        address, description = server.address, served.description
        self._server, self._parameters = server, dict(parameters)
        self._kinds = result_kinds(served.manifest)
        self._map = map_kind(served.manifest)
        self._batch = batch
        self._asked: dict[int, list[_Asked]] = {}
        self._began: dict[int, float] = {}
        self._run_now = Run()
        self._outages = Outages(address.shown, address.patience, server.queue_size)
        self._shared: SharedPictures | None = None
        if address.shared_memory and address.encoding == "raw" and is_this_host(address.host):
            self._shared = SharedPictures(address.shown, server.register, server.unregister)
        self.device = f"{description.device} at {address.authority}"
        self.reason = f"triton at {address.authority}, which runs {description.reason}"
        super().__init__((), (), slots=max(2, address.in_flight // batch))

    @property
    def batch(self) -> int:
        """How many pictures a slot holds, each a request of its own."""
        return self._batch

    def put(self, slot: Slot, index: int, picture: npt.NDArray[Any]) -> None:
        """Take a picture (H, W, C) for place `index` of a slot, or one that is encoded, uint8 (bytes,)."""
        array = np.ascontiguousarray(picture)[None]
        asked = self._asked.setdefault(slot.index, [])
        del asked[index:]
        asked.append(_Asked(index, IMAGE if picture.ndim > 1 else ENCODED, array, Reply()))

    def begin_run(self, listener: ServerListener | None, *, endless: bool) -> None:
        """Tell `listener` of outages from here on; with `endless` they may last until `end_run`, or the next run."""
        self._run_now = Run(listener, endless=endless)

    def end_run(self) -> None:
        """End all waiting for the server, until another run begins."""
        self._run_now.end(Stopped())

    def close(self) -> None:
        """End waiting, the connection and the shared memory."""
        self._run_now.end(BackendError(f"{self.name}: the backend is closed"))
        super().close()

    def release(self, slot: Slot) -> None:
        """Give the slot back."""
        self._asked.pop(slot.index, None)
        super().release(slot)

    def _make_inputs(self, index: int) -> Mapping[str, Array]:  # noqa: ARG002 (pictures are put, see `put`)
        return {}

    def _start(self, slot: Slot) -> None:
        slot_asked = self._asked.get(slot.index)
        if not slot_asked:
            raise BackendError(f"{self.name}: slot {slot.index} holds no picture")
        self._began[slot.index] = time.monotonic()
        for asked in slot_asked:
            self._send(slot, asked)

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        began = self._began.pop(slot.index)
        try:
            answers = [self._answer(slot, asked) for asked in self._asked[slot.index]]
        except BaseException:
            self._retire_unanswered(slot)
            raise
        slot.inference_ms = (max(asked.reply.arrived for asked in self._asked[slot.index]) - began) * 1e3
        return {ANSWERS: Head(ANSWERS, answers)}

    def _answer(self, slot: Slot, asked: _Asked) -> Mapping[str, npt.NDArray[Any]]:
        """Return the answer to a picture, however often it must be asked for."""
        run, patience = self._run_now, self._outages.patience()
        before: Trouble | None = None
        while True:
            self._wait(asked, run)
            trouble = asked.reply.trouble
            if trouble is None:
                self._outages.back(run)
                return asked.reply.tensors
            if trouble.error is not None:
                raise trouble.error
            again = before is not None and before.kind == trouble.kind
            self._mend(slot, asked, trouble, again=again)
            if trouble.kind != "region":
                patience.wait(trouble, asked.reply.arrived, run)
            before = trouble
            self._send(slot, asked)

    def _wait(self, asked: _Asked, run: Run) -> None:
        """Wait for a reply, which comes within the address's timeout, or for the run's end."""
        while not asked.reply.done.wait(_TICK_SECONDS):
            run.pause(0.0)

    def _retire_unanswered(self, slot: Slot) -> None:
        """Use the memory of questions no more whose answers may still come when the slot holds other pictures."""
        for asked in self._asked[slot.index]:
            if self._shared is not None and not asked.reply.done.is_set():
                self._shared.retire((slot.index, asked.index))

    def _mend(self, slot: Slot, asked: _Asked, trouble: Trouble, *, again: bool) -> None:
        """Do what lets the next attempt succeed; `again` says that the last one had the same trouble."""
        place = (slot.index, asked.index)
        if trouble.kind == "region":
            if self._shared is None:  # none of ours was named
                raise BackendError(trouble.text)
            if again:
                self._shared.give_up(place, trouble.text)
            else:
                self._shared.renew(place)
        elif self._shared is not None and trouble.kind != "full":  # what was refused is never written
            self._shared.retire(place)

    def _send(self, slot: Slot, asked: _Asked) -> None:
        asked.reply = Reply()
        array = asked.array
        outputs = [kind.name for kind in self._kinds]
        region: Region | None = None
        shared: tuple[str, int, int] | None = None
        if self._shared is not None:
            room = array.shape[1] * array.shape[2] * _WIDEST if self._map is not None else 0
            offset = -(-array.nbytes // 64) * 64
            region = self._shared.region((slot.index, asked.index), offset + room)
            if region is not None:
                region.write(array)
                if self._map is not None:
                    shared = (self._map.name, offset, room)
                    outputs.remove(self._map.name)
        self._server.ask(Question(asked.name, array, self._parameters, outputs, region, shared), asked.reply)

    def _shut(self) -> None:
        if self._shared is not None:
            # The server forgets no memory that a question is still about.
            until = time.monotonic() + _LAST_ANSWERS_SECONDS
            for asked in [asked for several in list(self._asked.values()) for asked in several]:
                asked.reply.done.wait(max(0.0, until - time.monotonic()))
            self._shared.close()
        self._server.close()
