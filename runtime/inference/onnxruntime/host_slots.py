"""Slots whose arrays lie on the host: one worker thread executes what is submitted, in that order.

One execution runs at a time, with the threads that it was given, also when several callers execute at once. On the
CPU inputs are bound where they lie and heads are written straight into the slot's own buffers, so nothing is copied.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np

from segrt.runtime.errors import one_line
from segrt.runtime.inference.backend import Stopwatch
from segrt.runtime.inference.cuda.cuda_errors import lost
from segrt.runtime.inference.onnxruntime.network_session import NetworkSource, bounded, cannot_execute
from segrt.runtime.inference.tensors import Head, Slot, TensorSpec

_Done = tuple[dict[str, Head], float]


class HostSlots:
    """Executes on one session. `on_gpu` says that it is CUDA's, which copies inputs at the moment they are bound.

    Such inputs are bound anew before each run; bound once they would stay what they were then.
    """

    def __init__(
        self,
        source: NetworkSource,
        session: Any,
        inputs: Sequence[TensorSpec],
        heads: Sequence[TensorSpec],
        *,
        slots: int,
        on_gpu: bool,
    ) -> None:
        self._source, self._session, self._on_gpu = source, session, on_gpu
        self.inputs = [{spec.name: np.zeros(spec.lengths, spec.dtype) for spec in inputs} for _ in range(slots)]
        self._variable = [spec.name for spec in heads if not spec.is_fixed]
        self._buffers = [
            {spec.name: np.empty(spec.lengths, spec.dtype) for spec in heads if spec.is_fixed} for _ in range(slots)
        ]
        self._bindings = [self._bind(index) for index in range(slots)]
        self._running: dict[int, Future[_Done]] = {}
        self._one_at_a_time = Lock()
        self._worker = start_worker("segrt-onnxruntime")

    def start(self, slot: Slot) -> None:
        """Start execution; return at once where there is a thread for it."""
        if self._worker is None:
            done: Future[_Done] = Future()
            done.set_result(self._execute(slot.index))
            self._running[slot.index] = done
        else:
            self._running[slot.index] = self._worker.submit(self._execute, slot.index)

    def finish(self, slot: Slot) -> Mapping[str, Head]:
        """Wait for what `start` began."""
        heads, slot.inference_ms = self._running.pop(slot.index).result()
        return heads

    def run(self, slot: Slot) -> Mapping[str, Head]:
        """Execute in the caller's thread."""
        heads, slot.inference_ms = self._execute(slot.index)
        return heads

    def close(self) -> None:
        """End the worker; free the session."""
        if self._worker is not None:
            self._worker.shutdown(wait=True)
        self._bindings.clear()
        del self._session

    def _bind(self, index: int) -> Any:
        binding = self._session.io_binding()
        if not self._on_gpu:
            self._bind_inputs(binding, index)
        for name, buffer in self._buffers[index].items():
            binding.bind_output(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
        return binding

    def _bind_inputs(self, binding: Any, index: int) -> None:
        for name, array in self.inputs[index].items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def _execute(self, index: int) -> _Done:
        with self._one_at_a_time:
            return self._execute_alone(index)

    def _execute_alone(self, index: int) -> _Done:
        binding, buffers = self._bindings[index], self._buffers[index]
        watch, options = Stopwatch(), None
        try:
            if self._on_gpu:
                self._bind_inputs(binding, index)
            for name in self._variable:  # bound anew each time, else ONNX Runtime insists on the last run's lengths
                binding.bind_output(name, "cpu")
            with bounded(self._source.has_loops) as options:
                self._session.run_with_iobinding(binding, options)
            elapsed = watch.ms()
            values = binding.get_outputs()[len(buffers) :]
            heads = {name: Head(name, buffer) for name, buffer in buffers.items()}
            heads |= {name: Head(name, value.numpy()) for name, value in zip(self._variable, values, strict=True)}
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            fatal = lost("onnxruntime on cuda", one_line(error)) if self._on_gpu else None
            if fatal is not None:
                raise fatal from error
            raise cannot_execute(self._source.path, error, options) from error
        return heads, elapsed


def start_worker(name: str) -> ThreadPoolExecutor | None:
    """Return a pool whose one thread runs; None where the system gives no thread, and the caller executes itself."""
    worker = ThreadPoolExecutor(1, thread_name_prefix=name)
    try:
        worker.submit(bool).result()
    except RuntimeError:
        return None
    return worker
