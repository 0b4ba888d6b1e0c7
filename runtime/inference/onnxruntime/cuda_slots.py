"""Slots on the GPU: each has a stream, memory of its own that is bound once, a session, and a thread.

Why a session each: a session has one stream, so that two slots would wait for each other's copies; two hold the weights
twice. Why a thread each: ONNX Runtime keeps a recorded graph for the thread that recorded it, and waits for the graph
inside the call that launches it.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from segrt.runtime.errors import BackendError, DeviceLostError, one_line
from segrt.runtime.inference.cuda.cuda_errors import CudaError, explained, lost
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.cuda.slot_queue import SlotQueue
from segrt.runtime.inference.onnxruntime.cuda_provider import CudaOptions, open_cuda_session
from segrt.runtime.inference.onnxruntime.host_slots import start_worker
from segrt.runtime.inference.onnxruntime.network_session import NetworkSource, bounded, cannot_execute
from segrt.runtime.inference.tensors import Device, Head, Slot, TensorSpec, heads_by_name

_WHAT = "onnxruntime on cuda"


class CudaSlot:
    """Executes one batch at a time in its own stream; opened by a first run, which searches algorithms and allocates.

    Heads of variable length have no place to be bound to: ONNX Runtime allocates them on the GPU, and they are
    downloaded when it is done. `check` is given the session before it runs. Use inside `cuda.current()`.
    """

    def __init__(
        self,
        source: NetworkSource,
        cuda: Cuda,
        inputs: Sequence[TensorSpec],
        heads: Sequence[TensorSpec],
        options: CudaOptions,
        *,
        threads: int,
        heads_on: Device,
        check: Callable[[Any], None],
        why_no_graph: str = "",
    ) -> None:
        self._source, self._threads, self._check = source, threads, check
        self._specs = [*inputs, *(spec for spec in heads if spec.is_fixed)]
        self._inputs = {spec.name for spec in inputs}
        self._variable = [spec.name for spec in heads if not spec.is_fixed]
        self.heads_on: Device = heads_on
        fixed = [spec for spec in heads if spec.is_fixed]
        self.queue = SlotQueue(_WHAT, cuda, inputs, fixed, downloads=heads_on == "cpu")
        self._session: Any = None
        self._binding: Any = None
        self.remarks: tuple[str, ...] = ()
        self.why_no_graph = why_no_graph or self._unfit_for_graph()
        try:
            self._open(replace(options, stream=self.queue.stream.handle, graph=not self.why_no_graph))
        except BaseException:
            self.close()
            raise

    def execute(self) -> dict[str, Head]:
        """Put upload, network and download into the stream; return the heads, which are there after `queue.times()`."""
        try:
            self.queue.start(self._compute)
            heads = heads_by_name(self.queue.host_heads, self.queue.device_heads, self.heads_on)
            if self._variable:
                values = self._binding.get_outputs()[-len(self._variable) :]
                heads |= {name: Head(name, value.numpy()) for name, value in zip(self._variable, values, strict=True)}
        except BackendError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise self._explained(error, None) from error
        return heads

    def close(self) -> None:
        """Free the session, then what it is bound to."""
        self._binding = self._session = None
        self.queue.close()

    def _unfit_for_graph(self) -> str:
        if self._source.has_loops:
            return "the network has loops"
        if self._variable:
            return f"head {self._variable[0]!r} has a length that varies"
        return ""

    def _open(self, options: CudaOptions) -> None:
        """Open and bind the session and run it once; a graph that cannot be recorded is given up, and the rest kept."""
        opened = open_cuda_session(self._source, self._threads, options, why_no_graph=self.why_no_graph)
        self._session, self.why_no_graph, self.remarks = opened.session, opened.why_no_graph, opened.remarks
        self._check(self._session)
        self._bind()
        try:
            self.execute()
            self.queue.times()
        except BackendError as error:
            if self.why_no_graph or isinstance(error, DeviceLostError):
                raise
            self._binding = self._session = None
            self.why_no_graph = one_line(error)
            self._open(replace(options, graph=False))

    def _bind(self) -> None:
        self._binding = self._session.io_binding()
        for spec in self._specs:
            is_input = spec.name in self._inputs
            place = self.queue.inputs[spec.name] if is_input else self.queue.device_heads[spec.name]
            bind = self._binding.bind_input if is_input else self._binding.bind_output
            bind(spec.name, "cuda", 0, place.dtype, place.shape, place.address)

    def _compute(self) -> None:
        options = None
        try:
            for name in self._variable:  # bound anew each time, else ONNX Runtime insists on the last run's lengths
                self._binding.bind_output(name, "cuda")
            with bounded(self._source.has_loops) as options:
                if not self.why_no_graph:
                    # All nodes are on the GPU then, and whatever follows is in the same stream. Else ONNX Runtime must
                    # wait: what nodes on the CPU give is copied from memory that it takes back.
                    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
                self._session.run_with_iobinding(self._binding, options)
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise self._explained(error, options) from error

    def _explained(self, error: Exception, options: Any) -> BackendError:
        return lost(_WHAT, one_line(error)) or cannot_execute(self._source.path, error, options)


class CudaSlots:
    """Several slots on the GPU, which overlap. They are opened one after the other, each in its thread."""

    def __init__(self, cuda: Cuda, make: Callable[..., CudaSlot], slots: int) -> None:
        self._cuda = cuda
        self._workers: list[Any] = []
        self._slots: list[CudaSlot] = []
        self._running: dict[int, Future[dict[str, Head]]] = {}
        try:
            for index in range(max(1, slots)):
                self._workers.append(start_worker(f"segrt-onnxruntime-{index}"))
                no_thread = "" if self._workers[index] else "the system gives no thread for it"
                self._slots.append(self._in_thread(index, partial(make, why_no_graph=no_thread)).result())
        except BaseException:
            self.close()
            raise
        self.inputs = [slot.queue.host_inputs for slot in self._slots]
        self.queues = [slot.queue for slot in self._slots]
        self.why_no_graph, self.remarks = self._slots[0].why_no_graph, self._slots[0].remarks

    def start(self, slot: Slot) -> None:
        """Start execution; return at once where there is a thread for it."""
        self._running[slot.index] = self._in_thread(slot.index, self._slots[slot.index].execute)

    def finish(self, slot: Slot) -> Mapping[str, Head]:
        """Wait for what `start` began: for the heads on the host, or for the work to be in the stream."""
        heads = self._running.pop(slot.index).result()
        if self._slots[slot.index].heads_on == "cpu":
            slot.settle()
        return heads

    def run(self, slot: Slot) -> Mapping[str, Head]:
        """Execute; without a graph, which belongs to its thread, in the caller's."""
        if not self.why_no_graph:
            self.start(slot)
        else:
            done: Future[dict[str, Head]] = Future()
            self._running[slot.index] = done
            with self._cuda.current():
                done.set_result(self._slots[slot.index].execute())
        return self.finish(slot)

    def close(self) -> None:
        """End the threads and free everything."""
        for worker in self._workers:
            if worker is not None:
                worker.shutdown(wait=True)
        while self._slots:
            slot = self._slots.pop()
            try:
                with self._cuda.current():
                    slot.close()
            except CudaError:  # a lost device frees nothing any more, and the process ends for it
                continue

    def _in_thread(self, index: int, work: Callable[[], Any]) -> Any:
        """Call `work` in the slot's thread with the device current; return its future."""

        def inside() -> Any:
            with self._cuda.current(), explained(_WHAT):
                return work()

        worker = self._workers[index]
        if worker is not None:
            return worker.submit(inside)
        done: Future[Any] = Future()
        done.set_result(inside())
        return done
