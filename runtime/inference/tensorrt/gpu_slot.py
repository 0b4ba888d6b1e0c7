"""One slot's way over the GPU: an execution context, a stream, buffers, and the recorded graph of its work.

The copies and the computation of a GPU slot are in one stream, so they follow each other; two slots overlap. On GPUs
that share the host's memory (Jetson) the network reads and writes the host's buffers and nothing is copied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import Cuda, DeviceBuffer, Graph, HostBuffer
from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.messages import plain
from segrt.runtime.inference.tensors import Array, TensorSpec


@dataclass(frozen=True)
class GpuTimes:
    """Milliseconds of one execution on the GPU; copies are 0 where nothing is copied."""

    upload_ms: float
    inference_ms: float
    download_ms: float


class GpuSlot:
    """Executes one batch at a time: fill `inputs`, `start`, `finish`, read `heads`. Use inside `cuda.current()`.

    `context` is a new execution context; `inputs`, `heads` and `others` (outputs that nobody reads) have fixed shapes
    and are all tensors of the engine. `mapped` shares the host's memory with the GPU instead of copying.
    """

    def __init__(
        self,
        flavor: Flavor,
        context: Any,
        cuda: Cuda,
        inputs: Sequence[TensorSpec],
        heads: Sequence[TensorSpec],
        others: Sequence[TensorSpec] = (),
        *,
        mapped: bool,
    ) -> None:
        self._flavor, self._context, self._cuda, self._mapped = flavor, context, cuda, mapped
        self._owned: list[Any] = []
        self._graph: Graph | None = None
        self.why_no_graph = ""
        try:
            self._stream = self._own(cuda.stream())
            self._marks = [self._own(cuda.event()) for _ in range(4)]
            self._ups = {spec.name: self._buffer(spec) for spec in inputs}
            self._downs = {spec.name: self._buffer(spec) for spec in heads}
            for spec in others:
                self._bind(spec, self._own(cuda.alloc(_nbytes(spec))).address)
            for spec in inputs:
                if not context.set_input_shape(spec.name, spec.lengths):
                    raise BackendError(f"{flavor}: input {spec} is refused: {self._reason()}")
            self.inputs: Mapping[str, Array] = {spec.name: _view(self._ups[spec.name], spec) for spec in inputs}
            self.heads: Mapping[str, Array] = {spec.name: _view(self._downs[spec.name], spec) for spec in heads}
        except BaseException:
            self.close()
            raise

    def record_graph(self) -> None:
        """Record the computation, to be launched as one from now on; where that is impossible, `why_no_graph` says so.

        The network must have run once before, which lets TensorRT allocate what it needs.
        """
        if not self._cuda.has_graphs:
            self.why_no_graph = f"{self._cuda.name} has no graphs"
            return
        try:
            self._graph = self._own(self._cuda.capture(self._stream, self._compute))
        except CudaError as error:
            if error.is_sticky:
                raise
            self.why_no_graph = str(error)
        except BackendError as error:  # some layers (loops, data-dependent shapes) cannot be recorded
            self.why_no_graph = str(error)

    def start(self) -> None:
        """Put upload, computation and download into the stream; return at once."""
        begin, uploaded, computed, end = self._marks
        begin.record(self._stream)
        for host, device in self._copies(self._ups):
            self._cuda.upload(device.address, host.array, self._stream)
        uploaded.record(self._stream)
        if self._graph is not None:
            self._graph.launch(self._stream)
        else:
            self._compute()
        computed.record(self._stream)
        for host, device in self._copies(self._downs):
            self._cuda.download(host.array, device.address, self._stream)
        end.record(self._stream)

    def finish(self) -> GpuTimes:
        """Wait for the end of what `start` began."""
        begin, uploaded, computed, end = self._marks
        end.synchronize()
        return GpuTimes(uploaded.ms_since(begin), computed.ms_since(uploaded), end.ms_since(computed))

    def close(self) -> None:
        """Wait for the stream and free everything; what a lost device does not take back is left to the process."""
        self._context = None
        self.inputs = self.heads = {}
        while self._owned:
            thing = self._owned.pop()
            try:
                thing.free()
            except CudaError:
                continue

    def _compute(self) -> None:
        with self._flavor.messages.fresh():
            if not self._context.execute_async_v3(self._stream.handle):
                raise BackendError(f"{self._flavor} cannot execute the network: {self._reason()}")

    def _buffer(self, spec: TensorSpec) -> tuple[HostBuffer, DeviceBuffer | None]:
        if self._mapped:
            shared: HostBuffer = self._own(self._cuda.alloc_mapped(_nbytes(spec)))
            self._bind(spec, shared.address)
            return shared, None
        host: HostBuffer = self._own(self._cuda.alloc_pinned(_nbytes(spec)))
        device: DeviceBuffer = self._own(self._cuda.alloc(_nbytes(spec)))
        self._bind(spec, device.address)
        return host, device

    def _bind(self, spec: TensorSpec, address: int) -> None:
        if not self._context.set_tensor_address(spec.name, address):
            raise BackendError(f"{self._flavor}: tensor {spec} cannot be bound: {self._reason()}")

    def _copies(
        self, buffers: Mapping[str, tuple[HostBuffer, DeviceBuffer | None]]
    ) -> list[tuple[HostBuffer, DeviceBuffer]]:
        return [(host, device) for host, device in buffers.values() if device is not None]

    def _own(self, thing: Any) -> Any:
        self._owned.append(thing)
        return thing

    def _reason(self) -> str:
        return plain(self._flavor.messages.reason("TensorRT gives no reason"))


def _nbytes(spec: TensorSpec) -> int:
    return int(np.prod(spec.lengths, dtype=np.int64)) * np.dtype(spec.dtype).itemsize


def _view(buffers: tuple[HostBuffer, DeviceBuffer | None], spec: TensorSpec) -> Array:
    view: Array = buffers[0].array[: _nbytes(spec)].view(spec.dtype).reshape(spec.lengths)
    return view
