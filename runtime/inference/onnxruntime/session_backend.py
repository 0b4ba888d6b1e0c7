"""ONNX Runtime as a backend: on CUDA where its provider really loads, else on the CPU."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segrt.runtime.errors import BackendError, DeviceLostError, SegrtError, one_line
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.choice import open_cuda
from segrt.runtime.inference.cuda.cuda_errors import is_memory_text, is_sticky_text, lost
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.cuda.presence import gpu_files
from segrt.runtime.inference.layers.onnxruntime_trace import read_trace
from segrt.runtime.inference.layers.raw_layer import RawLayer
from segrt.runtime.inference.network_file import NetworkFile, Opening, check_network
from segrt.runtime.inference.onnxruntime.cuda_provider import (
    CudaOptions,
    NoCudaError,
    NoStreamError,
    is_offered,
    open_cuda_session,
)
from segrt.runtime.inference.onnxruntime.cuda_slots import CudaSlot, CudaSlots
from segrt.runtime.inference.onnxruntime.host_slots import HostSlots
from segrt.runtime.inference.onnxruntime.network_session import (
    NetworkSource,
    bounded,
    cannot_execute,
    open_cpu_session,
    tensor_specs,
)
from segrt.runtime.inference.tensors import Array, Device, Head, Slot, TensorSpec
from segrt.runtime.inference.tf32 import TF32, why_no_tf32

_ON_TENSOR_CORES = frozenset({"fp16", TF32})


class OnnxRuntimeBackend(Backend):
    """Executes an ONNX file with ONNX Runtime.

    `device` is "cuda" or "cpu": what ONNX Runtime really uses. `only_cpu` keeps it from the GPU. `precision` decides
    on how a GPU computes: in TF32 for "tf32" alone. With `heads_on` "cuda" heads of fixed shape stay there.
    """

    name = "onnxruntime"

    def __init__(
        self,
        path: Path,
        inputs: Sequence[TensorSpec],
        heads: Sequence[TensorSpec],
        *,
        threads: int = 0,
        slots: int = 2,
        only_cpu: bool = False,
        precision: str = "fp32",
        heads_on: Device = "cpu",
    ) -> None:
        self._source, self._threads, self._only_cpu = NetworkSource.read(path), threads, only_cpu
        self._options = CudaOptions(
            tf32=precision == TF32, channels_last=not _ON_TENSOR_CORES.isdisjoint(precision.split("-"))
        )
        self._cuda: Cuda | None = None
        self._held: HostSlots | CudaSlots
        self.device = "cpu"
        try:
            opened = None if only_cpu else self._on_cuda(inputs, heads, slots, heads_on)
            self._held = opened or self._on_cpu(inputs, heads, slots)
            self._source.forget()
            super().__init__(inputs, heads, slots=slots)
        except BaseException:
            self._let_go()
            raise
        if isinstance(self._held, CudaSlots):
            for slot, queue in zip(self._slots, self._held.queues, strict=True):
                slot.gpu = queue

    @classmethod
    def why_not(cls, network: NetworkFile, opening: Opening) -> str | None:  # noqa: ARG003 (of all backends)
        """Return why ONNX Runtime cannot be used here, with the remedy, or None if it can."""
        if _is_installed("onnxruntime") and _is_installed("onnxruntime-gpu"):
            return (
                "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; "
                "`pip uninstall -y onnxruntime onnxruntime-gpu`, then install one of them"
            )
        try:
            import onnxruntime  # noqa: F401
        except ImportError as error:
            return f"onnxruntime cannot be imported ({error}); `pip install onnxruntime`"
        return None

    @classmethod
    def open(cls, network: NetworkFile, opening: Opening) -> Backend:
        """Open the ONNX file of `network` in ONNX Runtime."""
        return cls(
            network.checked(),
            network.inputs,
            network.heads,
            threads=opening.threads,
            slots=opening.slots,
            only_cpu=opening.device == "cpu",
            precision=network.precision,
            heads_on=opening.heads_on,
        )

    def layer_times(self, inputs: Mapping[str, Array], runs: int) -> list[RawLayer]:
        """Run `inputs` `runs` times, after one that does not count, in a session of its own; see `Backend`."""
        self._check_inputs(inputs)
        with TemporaryDirectory() as folder:
            profile = Path(folder) / "trace"
            if self.device == "cuda":
                session = open_cuda_session(self._source, self._threads, self._options, profile=profile).session
            else:
                session = open_cpu_session(self._source, self._threads, profile=profile)
            options = None
            try:
                for _ in range(runs + 1):
                    with bounded(self._source.has_loops) as options:
                        session.run(None, dict(inputs), options)
                return read_trace(Path(session.end_profiling()).read_text(), warmup=1)
            except Exception as error:  # ONNX Runtime's errors share no base class of their own
                raise cannot_execute(self._source.path, error, options) from error

    def _on_cpu(self, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec], slots: int) -> HostSlots:
        if self._options.tf32:
            raise BackendError(f"{self._source.path}: {why_no_tf32(None)}")
        session = open_cpu_session(self._source, self._threads)
        if not self._only_cpu and not self.remark and gpu_files():
            self.remark = "ONNX Runtime does not use the GPU here, `segrt doctor` says why"
        self._check(session, inputs, heads)
        return HostSlots(self._source, session, inputs, heads, slots=slots, on_gpu=False)

    def _on_cuda(
        self, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec], slots: int, heads_on: Device
    ) -> HostSlots | CudaSlots | None:
        """Return slots on CUDA, with memory of our own where a package for it is installed; None where it can't be."""
        if not is_offered():
            return None
        cuda, why_not = open_gpu()
        try:
            refused = why_no_tf32(cuda.device.sm if cuda else "") if self._options.tf32 else None
            if refused is not None:
                raise BackendError(f"{self._source.path}: {refused}")
            self._cuda = cuda
            held = self._slots_on_cuda(inputs, heads, slots, heads_on, why_not)
        except NoCudaError as error:
            self.remark = f"ONNX Runtime does not use the GPU here ({error}), `segrt doctor` says why"
            self.remark = self.remark.replace(" ()", "")
            return None
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise self._why_not_opened(error, slots) from error
        self.device = "cuda"
        return held

    def _slots_on_cuda(
        self, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec], slots: int, heads_on: Device, why_not: str
    ) -> HostSlots | CudaSlots:
        if self._cuda is not None:
            try:
                return self._in_own_memory(self._cuda, inputs, heads, slots, heads_on)
            except NoStreamError as error:
                why_not, self.head_device = str(error), "cpu"
        return self._in_ordinary_memory(inputs, heads, slots, why_not)

    def _in_ordinary_memory(
        self, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec], slots: int, why: str
    ) -> HostSlots:
        opened = open_cuda_session(self._source, self._threads, self._options)
        self._check(opened.session, inputs, heads)
        self.remark = "; ".join((f"each frame is copied from and to ordinary memory ({why})", *opened.remarks))
        self.why_no_graph = "inputs have no fixed place on the GPU"
        return HostSlots(self._source, opened.session, inputs, heads, slots=slots, on_gpu=True)

    def _in_own_memory(
        self, cuda: Cuda, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec], slots: int, heads_on: Device
    ) -> CudaSlots:
        varies = next((spec.name for spec in heads if not spec.is_fixed), None)
        self.head_device = "cpu" if varies is not None else heads_on
        make = partial(
            CudaSlot,
            self._source,
            cuda,
            inputs,
            heads,
            self._options,
            threads=self._threads,
            heads_on=self.head_device,
            check=partial(self._check, inputs=inputs, heads=heads),
        )
        held = CudaSlots(cuda, make, slots)
        self.why_no_graph, self.remark = held.why_no_graph, "; ".join(held.remarks)
        return held

    def _why_not_opened(self, error: Exception, slots: int) -> Exception:
        text = one_line(error)
        if is_memory_text(text) and not is_sticky_text(text):
            return BackendError(
                f"{self._source.path}: the GPU has too little memory for {slots} executions at a time ({text}); "
                "end other programs on it, or take a smaller network or --precision fp16"
            )
        if isinstance(error, SegrtError) and not is_sticky_text(text):
            return error
        fatal = error if isinstance(error, DeviceLostError) else lost("onnxruntime on cuda", text)
        return fatal or cannot_execute(self._source.path, error, None)

    def _check(self, session: Any, inputs: Sequence[TensorSpec], heads: Sequence[TensorSpec]) -> None:
        path = str(self._source.path)
        check_network(path, "input", inputs, tensor_specs(session.get_inputs()), complete=True)
        check_network(path, "head", heads, tensor_specs(session.get_outputs()), complete=False)

    def _make_inputs(self, index: int) -> Mapping[str, Array]:
        return self._held.inputs[index]

    def _start(self, slot: Slot) -> None:
        self._held.start(slot)

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        return self._held.finish(slot)

    def _run(self, slot: Slot) -> Mapping[str, Head]:
        return self._held.run(slot)

    def _shut(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if hasattr(self, "_held"):
            self._held.close()
        cuda, self._cuda = self._cuda, None
        if cuda is not None:
            cuda.close()


def open_gpu() -> tuple[Cuda | None, str]:
    """Open the GPU through the package that is installed for it; without one, say what would make that work."""
    try:
        return open_cuda(), ""
    except BackendError as error:
        return None, str(error)


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
