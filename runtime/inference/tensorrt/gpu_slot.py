"""One slot's way over the GPU with TensorRT: an execution context, its queue, and the recorded graph of its work."""

from collections.abc import Sequence
from typing import Any

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import Cuda, Graph
from segrt.runtime.inference.cuda.slot_queue import SlotQueue
from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.messages import plain
from segrt.runtime.inference.tensors import Device, TensorSpec


class GpuSlot:
    """Executes one batch at a time: fill `queue.host_inputs`, `start`, `queue.synchronize`.

    Use inside `cuda.current()`. `context` is a new execution context; `inputs`, `heads` and `others` (outputs that
    nobody reads) have fixed shapes and are all tensors of the engine. With `heads_on` "cuda" heads aren't downloaded.
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
        heads_on: Device = "cpu",
    ) -> None:
        self._flavor, self._context, self._cuda = flavor, context, cuda
        self._graph: Graph | None = None
        self.why_no_graph = ""
        self.queue = SlotQueue(f"{flavor} on {cuda.device.name}", cuda, inputs, heads, downloads=heads_on == "cpu")
        try:
            for spec in inputs:
                self._bind(spec, self.queue.inputs[spec.name].address)
            for spec in heads:
                self._bind(spec, self.queue.device_heads[spec.name].address)
            for spec in others:
                self._bind(spec, self.queue.scratch(spec))
            for spec in inputs:
                if not context.set_input_shape(spec.name, spec.lengths):
                    raise BackendError(f"{flavor}: input {spec} is refused: {self._reason()}")
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
            self._graph = self.queue.own(self._cuda.capture(self.queue.stream, self._execute))
        except CudaError as error:
            if error.is_sticky:
                raise
            self.why_no_graph = str(error)
        except BackendError as error:  # some layers (loops, data-dependent shapes) cannot be recorded
            self.why_no_graph = str(error)

    def start(self) -> None:
        """Put upload, computation and download into the stream; return at once."""
        self.queue.start(self._compute)

    def close(self) -> None:
        """Wait for the stream and free everything; what a lost device does not take back is left to the process."""
        self._context = None
        self.queue.close()

    def _compute(self) -> None:
        if self._graph is not None:
            self._graph.launch(self.queue.stream)
        else:
            self._execute()

    def _execute(self) -> None:
        with self._flavor.messages.fresh():
            if not self._context.execute_async_v3(self.queue.stream.handle):
                raise BackendError(f"{self._flavor} cannot execute the network: {self._reason()}")

    def _bind(self, spec: TensorSpec, address: int) -> None:
        if not self._context.set_tensor_address(spec.name, address):
            raise BackendError(f"{self._flavor}: tensor {spec} cannot be bound: {self._reason()}")

    def _reason(self) -> str:
        return plain(self._flavor.messages.reason("TensorRT gives no reason"))
