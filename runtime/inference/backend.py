"""The interface of every backend: slots that are acquired, submitted, waited for and released.

A slot holds the inputs and heads of one batch. While one slot executes, another is filled and a third read, so that
copying, computing and merging overlap; the number of slots bounds what is in flight. This class owns the order of
the calls and every check; a backend implements `_make_inputs`, `_start`, `_finish` and `_shut`.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Condition
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.tensors import Array, Device, Head, Slot, State, TensorSpec

if TYPE_CHECKING:
    from segrt.runtime.inference.layers.raw_layer import RawLayer

OF_TWO_NETWORKS = "runs two networks, whose layers are not measured; leave out --layers"
_Self = TypeVar("_Self", bound="Backend")


class Backend(ABC):
    """Executes one network; safe to use from several threads, each slot from one thread at a time.

    `device` is what executes, `head_device` where the heads lie. `reason` says, in one line, why this backend was
    taken; `open_backend` of the table writes it. `remark` is what would make it faster, "" for nothing.
    `why_no_graph` says why a GPU's work is not launched as a recorded graph, "" where it is or there is no GPU.
    `no_layer_times` is what `layer_times` says, with a remedy, where there is no profiler.
    """

    name: str
    device: str
    reason: str = ""
    remark: str = ""
    why_no_graph: str = ""
    no_layer_times: str = "has no times of single layers; take another --backend"
    head_device: Device = "cpu"

    def __init__(self, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec], *, slots: int = 2) -> None:
        if slots < 1:
            raise BackendError(f"slots must be at least 1, but got {slots}")
        for spec in inputs:
            if not spec.is_fixed:
                raise BackendError(f"input {spec} must have a fixed shape")
        self.input_specs = tuple(inputs)
        self.head_specs = tuple(heads)
        self._changed = Condition()
        self._closed = False
        self._slots = tuple(Slot(index, self._make_inputs(index)) for index in range(slots))
        self._free = list(reversed(self._slots))

    @property
    def slots(self) -> int:
        """How many batches can be in flight."""
        return len(self._slots)

    @property
    def batch(self) -> int:
        """How many frames a slot holds."""
        return self.input_specs[0].lengths[0]

    def acquire(self, timeout: float | None = None) -> Slot:
        """Return a free slot; block while all are in flight, at most `timeout` seconds.

        Raises BackendError when the backend is or gets closed, or the time is over.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._free, timeout):
                raise BackendError(f"{self.name}: no slot became free within {timeout} s")
            self._refuse_closed()
            slot = self._free.pop()
            slot.state = "acquired"
            return slot

    def submit(self, slot: Slot) -> None:
        """Start execution on the slot's inputs, which must not be touched until `wait` returns."""
        self._move(slot, "acquired", "submitted")
        try:
            self._start(slot)
        except BaseException:
            slot.state = "acquired"
            raise

    def wait(self, slot: Slot) -> Mapping[str, Head]:
        """Wait for the execution and return the heads, name → head, valid until `release`.

        Raises BackendError when the execution failed; the slot must be released all the same.
        """
        self._move(slot, "submitted", "done")
        return self._checked(self._finish(slot))

    def execute(self, slot: Slot) -> Mapping[str, Head]:
        """Submit and wait in one, for whoever has one frame at a time; saves changes of threads where it can."""
        self._move(slot, "acquired", "done")
        return self._checked(self._run(slot))

    def release(self, slot: Slot) -> None:
        """Give the slot back; its heads are invalid from here on. A submitted slot must be waited for first."""
        if slot.gpu is not None:
            with suppress(BackendError):  # a lost GPU says so again to whoever uses it next
                slot.gpu.times()  # before that it may still read what the next holder of the slot writes
            slot.gpu.uploads = True
        with self._changed:
            if slot.state not in ("acquired", "done") and not self._closed:
                raise BackendError(f"{self.name}: release of slot {slot.index}, which is {slot.state}")
            slot.state = "free"
            slot.sources.clear()
            self._free.append(slot)
            self._changed.notify()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Execute once: copy `inputs` into a slot, execute, copy the heads out, release.

        `inputs` maps each input's name to an array of its dtype and shape. Returns name → array on the host.
        """
        self._check_inputs(inputs)
        slot = self.acquire()
        try:
            for name, view in slot.inputs.items():
                np.copyto(view, inputs[name], casting="no")
            heads = self.execute(slot)
            return {name: head.on_host() for name, head in heads.items()}
        finally:
            self.release(slot)

    def layer_times(self, inputs: Mapping[str, Array], runs: int) -> "list[RawLayer]":  # noqa: ARG002
        """Run `inputs` (as for `run`) `runs` times with a profiler; return each layer's mean time, in order.

        Profiling slows execution down, so that the sum is more than a frame takes. Raises BackendError where the
        backend has no profiler.
        """
        raise BackendError(f"{self.name}: {self.no_layer_times}")

    def close(self) -> None:
        """End the backend: waiting `acquire`s raise, running executions end first. Closing twice does nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._shut()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _make_inputs(self, index: int) -> Mapping[str, Array]:
        """Allocate the inputs of slot `index` by `input_specs`."""

    @abstractmethod
    def _start(self, slot: Slot) -> None:
        """Start execution; return at once."""

    @abstractmethod
    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        """Block until the execution has ended, set `slot.inference_ms`, return the heads or raise BackendError.

        Where the heads stay on the GPU it returns as soon as the work is in the slot's queue; see `Slot.settle`.
        """

    def _run(self, slot: Slot) -> Mapping[str, Head]:
        """Start and finish; backends that need no other thread for it may do it in the caller's."""
        self._start(slot)
        return self._finish(slot)

    @abstractmethod
    def _shut(self) -> None:
        """Free everything; called once."""

    def _checked(self, heads: Mapping[str, Head]) -> Mapping[str, Head]:
        for spec in self.head_specs:
            head = heads.get(spec.name)
            if head is None:
                raise BackendError(f"{self.name}: head {spec} is missing from the network's outputs")
            if head.device != self.head_device:
                raise BackendError(f"{self.name}: head {spec} must lie on {self.head_device}, but is on {head.device}")
            if not spec.fits(head.array.dtype, head.array.shape):
                raise BackendError(
                    f"{self.name}: head must be {spec}, "
                    f"but the network gave {head.array.dtype} {list(head.array.shape)}"
                )
        return heads

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BackendError(f"{self.name}: the backend is closed")

    def _move(self, slot: Slot, before: State, after: State) -> None:
        with self._changed:
            self._refuse_closed()
            if slot.index >= len(self._slots) or self._slots[slot.index] is not slot:
                raise BackendError(f"{self.name}: the slot belongs to another backend")
            if slot.state != before:
                raise BackendError(f"{self.name}: slot {slot.index} must be {before}, but it is {slot.state}")
            slot.state = after

    def _check_inputs(self, inputs: Mapping[str, Array]) -> None:
        for spec in self.input_specs:
            array = inputs.get(spec.name)
            if array is None:
                raise BackendError(f"{self.name}: input {spec} is missing; got {sorted(inputs)}")
            if not spec.fits(array.dtype, array.shape):
                raise BackendError(f"{self.name}: input must be {spec}, but got {array.dtype} {list(array.shape)}")
        unknown = sorted(set(inputs) - {spec.name for spec in self.input_specs})
        if unknown:
            raise BackendError(f"{self.name}: there is no input {unknown[0]!r}")


class Stopwatch:
    """Milliseconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def ms(self) -> float:
        """Return the milliseconds that have passed."""
        return (time.perf_counter() - self._start) * 1e3
