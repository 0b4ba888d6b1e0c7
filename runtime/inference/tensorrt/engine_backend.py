"""TensorRT behind the slots: each slot has a GPU slot of its own, so copies, computation and merging overlap."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from segrt.runtime.errors import BackendError, SegrtError
from segrt.runtime.files.atomic import write_atomic
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.choice import installed_packages, open_cuda
from segrt.runtime.inference.cuda.cuda_errors import CudaError, explained, lost
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.layers.raw_layer import RawLayer
from segrt.runtime.inference.network_file import NetworkFile, Opening, check_network
from segrt.runtime.inference.tensorrt.engine_cache import Engine, EngineCache, runtime_cache_path
from segrt.runtime.inference.tensorrt.flavor import Flavor, find_flavor
from segrt.runtime.inference.tensorrt.gpu_slot import GpuSlot
from segrt.runtime.inference.tensorrt.layer_timer import profiled
from segrt.runtime.inference.tensorrt.layer_trace import combine
from segrt.runtime.inference.tensorrt.loading import LoadedEngine
from segrt.runtime.inference.tensorrt.rtx import RtxRuntime
from segrt.runtime.inference.tensorrt.target import look, refuse_gpu
from segrt.runtime.inference.tensors import Array, Device, Head, Slot, TensorSpec, heads_by_name

log = logging.getLogger("segrt.tensorrt")


def _refine(cache: EngineCache, engine: Engine, backend: "TensorRtBackend") -> None:
    """After a build, let the record have the precisions of the finished engine's layers."""
    if not engine.reason:
        return
    import msgspec

    from segrt.runtime.inference.tensorrt.layer_precisions import engine_precisions

    try:
        layers = engine_precisions(backend.describe())
    except ValueError as error:
        log.debug("%s: the engine inspector %s", engine.path.name, error)
        return
    if layers:
        cache.replace_record(msgspec.structs.replace(engine.record, layers=layers, layers_from="engine"))


class TensorRtBackend(Backend):
    """Executes an engine of TensorRT on CUDA's device 0.

    `device` is the GPU's name; `why_no_graph` says why the computation is not launched as a recorded graph, "" when
    it is.
    """

    name = "tensorrt"

    def __init__(
        self,
        engine: Engine,
        flavor: Flavor,
        cuda: Cuda,
        inputs: Sequence[TensorSpec],
        heads: Sequence[TensorSpec],
        *,
        slots: int = 2,
        heads_on: Device = "cpu",
    ) -> None:
        self.head_device = heads_on
        self._cuda, self._flavor, self._path = cuda, flavor, engine.path
        self.device = cuda.device.name
        self._what = f"{flavor} on {self.device}"
        self._gpu_slots: list[GpuSlot] = []
        self._rtx: RtxRuntime | None = None
        self._loaded = LoadedEngine(engine, flavor)
        try:
            check_network(str(engine.path), "input", inputs, self._loaded.inputs, complete=True)
            check_network(str(engine.path), "head", heads, self._loaded.outputs, complete=False)
            self._make_gpu_slots(inputs, heads, slots)
            super().__init__(inputs, heads, slots=slots)
            for slot, gpu_slot in zip(self._slots, self._gpu_slots, strict=True):
                slot.gpu = gpu_slot.queue
        except CudaError as error:
            self._let_go()
            if error.is_sticky:
                raise lost(self._what, str(error)) or error from error
            if error.is_out_of_memory:
                raise BackendError(
                    f"{engine.path}: the GPU has too little memory for {slots} executions at a time ({error}); "
                    "end other programs on it, or take a smaller network or --precision fp16"
                ) from None
            raise
        except BaseException:
            self._let_go()
            raise
        self.why_no_graph = self._gpu_slots[0].why_no_graph

    @classmethod
    def why_not(cls, network: NetworkFile, opening: Opening) -> str | None:
        """Return why TensorRT cannot execute `network` on this device's GPU, with the remedy, or None if it can."""
        try:
            find_flavor(opening.engines.flavor)
        except BackendError as error:
            return str(error)
        if not installed_packages():
            return "neither cuda-python nor pycuda is installed; pip install 'segrt[gpu]'"
        for spec in network.heads:
            if not spec.is_fixed:
                return f"head {spec} has a length that varies, which this backend does not serve; take onnxruntime"
        return None

    @classmethod
    def open(cls, network: NetworkFile, opening: Opening) -> Backend:
        """Open the engine of `network` that fits this GPU, after building it where there is none."""
        cuda = open_cuda()
        try:
            with cuda.current():
                flavor = find_flavor(opening.engines.flavor)
                here = look(cuda)
                refuse_gpu(flavor, here)
                cache = EngineCache(network, flavor, here, opening.engines)
                engine = cache.get()
                backend = cls(
                    engine,
                    flavor,
                    cuda,
                    network.inputs,
                    network.heads,
                    slots=opening.slots,
                    heads_on=opening.heads_on,
                )
                _refine(cache, engine, backend)
                return backend
        except BaseException:
            cuda.close()
            raise

    def describe(self) -> str:
        """Return the engine inspector's JSON."""
        with self._cuda.current():
            return self._loaded.describe()

    def layer_times(self, inputs: Mapping[str, Array], runs: int) -> list[RawLayer]:
        """Run `inputs` `runs` times with TensorRT's profiler, layer by layer; see `Backend`."""
        self._check_inputs(inputs)
        with self._cuda.current(), explained(self._what):
            context = self._context(graphs=False)
            gpu_slot = self._gpu_slot(context, self.input_specs, self.head_specs)
            try:
                for name, view in gpu_slot.queue.host_inputs.items():
                    np.copyto(view, inputs[name], casting="no")
                times = profiled(self._flavor, context, gpu_slot, runs)
            finally:
                gpu_slot.close()
            try:
                return combine(times, self._loaded.describe())
            except ValueError as error:
                raise BackendError(f"{self._path}: the engine's description {error}; build it anew") from None

    def _make_gpu_slots(self, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec], slots: int) -> None:
        if self._flavor.is_rtx:
            cached = runtime_cache_path(self._path)
            content = cached.read_bytes() if cached.is_file() else b""
            self._rtx = RtxRuntime(self._flavor, self._loaded.engine, content)
        for _ in range(slots):
            gpu_slot = self._gpu_slot(self._context(), inputs, heads)
            self._gpu_slots.append(gpu_slot)
            gpu_slot.start()  # the first run allocates, and in TensorRT-RTX compiles
            gpu_slot.queue.synchronize()
            if self._rtx is None:  # TensorRT-RTX records graphs itself
                gpu_slot.record_graph()
        if self._gpu_slots and self._gpu_slots[0].why_no_graph:
            log.info("%s: without a CUDA graph: %s", self._path.name, self._gpu_slots[0].why_no_graph)
        self._keep_compiled()

    def _context(self, *, graphs: bool = True) -> Any:
        with self._flavor.messages.fresh() as messages:
            if self._rtx is not None:
                context = self._rtx.context(graphs=graphs)
            else:
                context = self._loaded.engine.create_execution_context()
            if context is None:
                reason = messages.reason("TensorRT gives no reason")
                raise CudaError("create_execution_context", "", reason)
        return context

    def _gpu_slot(self, context: Any, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec]) -> GpuSlot:
        names = {spec.name for spec in heads}
        others = [spec for spec in self._loaded.outputs if spec.name not in names]
        return GpuSlot(self._flavor, context, self._cuda, inputs, heads, others, heads_on=self.head_device)

    def _make_inputs(self, index: int) -> Mapping[str, Array]:
        return self._gpu_slots[index].queue.host_inputs

    def _start(self, slot: Slot) -> None:
        with self._cuda.current(), explained(self._what):
            self._gpu_slots[slot.index].start()

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        if self.head_device == "cpu":
            slot.settle()
        queue = self._gpu_slots[slot.index].queue
        return heads_by_name(queue.host_heads, queue.device_heads, self.head_device)

    def _shut(self) -> None:
        with suppress(CudaError):  # a lost device frees nothing any more, and the process ends for it
            with self._cuda.current():
                self._let_go()
            self._cuda.close()

    def _let_go(self) -> None:
        for gpu_slot in self._gpu_slots:
            gpu_slot.close()
        self._gpu_slots.clear()
        self._rtx = None
        self._loaded.close()

    def _keep_compiled(self) -> None:
        """Write what TensorRT-RTX compiled for this GPU, which saves the next start that work."""
        if self._rtx is None or self._rtx.had_cache:
            return
        try:
            write_atomic(runtime_cache_path(self._path), self._rtx.serialized())
        except SegrtError as error:
            log.info("%s", error)
