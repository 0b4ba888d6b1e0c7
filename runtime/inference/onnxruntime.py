"""ONNX Runtime behind the slots: one worker thread executes what is submitted, in that order.

One execution runs at a time, with the threads that it was given, also when several callers execute at once.

Inputs are bound where they lie and heads are written straight into the slot's own buffers, so nothing is copied.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Timer
from typing import Any

import numpy as np

from segrt.runtime.errors import BackendError, one_line
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.inference.backend import Backend, Stopwatch
from segrt.runtime.inference.cuda.cuda_errors import lost
from segrt.runtime.inference.cuda.presence import gpu_files
from segrt.runtime.inference.layers.onnxruntime_trace import read_trace
from segrt.runtime.inference.layers.raw_layer import RawLayer
from segrt.runtime.inference.network_file import NetworkFile, Opening, check_network
from segrt.runtime.inference.onnx_scan import OnnxTraits, refuse_external_data, scan
from segrt.runtime.inference.tensors import Array, Head, Slot, TensorSpec
from segrt.runtime.threads import threads_to_be_had

_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(bool)": "bool",
}
_FATAL_ONLY = 4
# Up to this length ONNX Runtime gets the bytes that were scanned, and so knows no folder to read further files from.
# It copies them while it loads, and protobuf ends at 2 GiB: a longer file is given by its path.
_MOST_BYTES = 512 << 20
_LONGEST_LOOP = 60.0  # seconds
_TIME_IS_OVER = f"it has loops and ran for more than {_LONGEST_LOOP:g} s"


def run_file(path: Path, inputs: Mapping[str, Array], *, threads: int = 0) -> dict[str, Array]:
    """Execute the ONNX file at `path` once, whatever its outputs are; return them all, name → array."""
    session, has_loops = _open_session(path, threads)
    names = [value.name for value in session.get_outputs()]
    options = None
    try:
        with _bounded(has_loops) as options:
            return dict(zip(names, session.run(names, dict(inputs), options), strict=True))
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise _cannot_execute(path, error, options) from error


class OnnxRuntimeBackend(Backend):
    """Executes an ONNX file with ONNX Runtime, on CUDA where its provider really loads, else on the CPU.

    `device` is "cuda" or "cpu": what ONNX Runtime really uses.
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
    ) -> None:
        self._path, self._threads = path, threads
        self._session, self._has_loops = _open_session(path, threads)
        self.device = "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"
        if self.device == "cpu" and gpu_files():
            self.remark = "ONNX Runtime does not use the GPU here, `segrt doctor` says why"
        check_network(str(path), "input", inputs, _specs(self._session.get_inputs()), complete=True)
        check_network(str(path), "head", heads, _specs(self._session.get_outputs()), complete=False)
        super().__init__(inputs, heads, slots=slots)
        self._variable = [spec.name for spec in self.head_specs if not spec.is_fixed]
        self._buffers = [
            {spec.name: np.empty(spec.lengths, spec.dtype) for spec in self.head_specs if spec.is_fixed}
            for _ in self._slots
        ]
        self._bindings = [self._bind(slot) for slot in self._slots]
        self._running: dict[int, Future[tuple[dict[str, Head], float]]] = {}
        self._one_at_a_time = Lock()
        self._worker = _start_worker()

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
        return cls(network.checked(), network.inputs, network.heads, threads=opening.threads, slots=opening.slots)

    def layer_times(self, inputs: Mapping[str, Array], runs: int) -> list[RawLayer]:
        """Run `inputs` `runs` times, after one that does not count, in a session of its own; see `Backend`."""
        self._check_inputs(inputs)
        with TemporaryDirectory() as folder:
            session, has_loops = _open_session(self._path, self._threads, profile=Path(folder) / "trace")
            options = None
            try:
                for _ in range(runs + 1):
                    with _bounded(has_loops) as options:
                        session.run(None, dict(inputs), options)
                return read_trace(Path(session.end_profiling()).read_text(), warmup=1)
            except Exception as error:  # ONNX Runtime's errors share no base class of their own
                raise _cannot_execute(self._path, error, options) from error

    def _make_inputs(self, index: int) -> Mapping[str, Array]:  # noqa: ARG002 (all slots are alike)
        return {spec.name: np.zeros(spec.lengths, spec.dtype) for spec in self.input_specs}

    def _start(self, slot: Slot) -> None:
        if self._worker is None:
            done: Future[tuple[dict[str, Head], float]] = Future()
            done.set_result(self._execute(slot))
            self._running[slot.index] = done
        else:
            self._running[slot.index] = self._worker.submit(self._execute, slot)

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        heads, slot.inference_ms = self._running.pop(slot.index).result()
        return heads

    def _run(self, slot: Slot) -> Mapping[str, Head]:
        heads, slot.inference_ms = self._execute(slot)
        return heads

    def _shut(self) -> None:
        if self._worker is not None:
            self._worker.shutdown(wait=True)
        self._bindings.clear()
        del self._session

    def _bind(self, slot: Slot) -> Any:
        binding = self._session.io_binding()
        for name, array in slot.inputs.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, buffer in self._buffers[slot.index].items():
            binding.bind_output(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
        return binding

    def _execute(self, slot: Slot) -> tuple[dict[str, Head], float]:
        with self._one_at_a_time:
            return self._execute_alone(slot)

    def _execute_alone(self, slot: Slot) -> tuple[dict[str, Head], float]:
        binding, buffers = self._bindings[slot.index], self._buffers[slot.index]
        watch, options = Stopwatch(), None
        try:
            for name in self._variable:  # bound anew each time, else ONNX Runtime insists on the last run's lengths
                binding.bind_output(name, "cpu")
            with _bounded(self._has_loops) as options:
                self._session.run_with_iobinding(binding, options)
            elapsed = watch.ms()
            values = binding.get_outputs()[len(buffers) :]
            heads = {name: Head(name, buffer) for name, buffer in buffers.items()}
            heads |= {name: Head(name, value.numpy()) for name, value in zip(self._variable, values, strict=True)}
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            fatal = lost("onnxruntime on cuda", one_line(error)) if self.device == "cuda" else None
            if fatal is not None:
                raise fatal from error
            raise _cannot_execute(self._path, error, options) from error
        return heads, elapsed


def _start_worker() -> ThreadPoolExecutor | None:
    """Return a pool whose one thread runs; None where the system gives no thread, and the caller executes itself."""
    worker = ThreadPoolExecutor(1, thread_name_prefix="segrt-onnxruntime")
    try:
        worker.submit(bool).result()
    except RuntimeError:
        return None
    return worker


def _threads_for_session(threads: int) -> int:
    """Return how many threads a session may have, as ONNX Runtime takes it: 0 lets it take one a core."""
    wanted = threads or os.cpu_count() or 1
    given = threads_to_be_had(wanted)
    return threads if given == wanted else given


def _open_session(path: Path, threads: int, *, profile: Path | None = None) -> tuple[Any, bool]:
    """Return the session of the ONNX file at `path`, which keeps no tensors elsewhere, and whether it has loops."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    options.intra_op_num_threads = _threads_for_session(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # Threads that spin while they wait for work take the cores from the other stages of a stream: on two busy cores
    # they doubled the CPU time of the embedded networks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Else it tells ORT's own format from ONNX by the bytes, and a file can be both.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    network, traits = _scanned(path)
    try:
        session = onnxruntime.InferenceSession(network, options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise BackendError(f"{path}: ONNX Runtime cannot load the network ({one_line(error)})") from error
    # It keeps the bytes only to open the session once more on other providers, which is not asked of it.
    session.disable_fallback()
    session._model_bytes = None
    return session, traits.has_loops


def _scanned(path: Path) -> tuple[bytes | str, OnnxTraits]:
    """Return what a session is opened from, after looking into it: the file's bytes, or its path where it is large."""
    try:
        size = path.stat().st_size
        data = read_bytes(path, _MOST_BYTES) if size <= _MOST_BYTES else None
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    if data is None:
        return str(path), refuse_external_data(path)
    return data, scan(data, str(path))


@contextmanager
def _bounded(has_loops: bool) -> Iterator[Any]:
    """Give the options of one execution; one with loops is ended when its time is over.

    Without loops a network's time follows from its size.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    if not has_loops:
        yield options
        return
    timer = Timer(_LONGEST_LOOP, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def _cannot_execute(path: Path, error: Exception, options: Any) -> BackendError:
    why = _TIME_IS_OVER if options is not None and options.terminate else one_line(error)
    return BackendError(f"{path}: ONNX Runtime cannot execute the network ({why})")


def _specs(values: Sequence[Any]) -> list[TensorSpec]:
    return [
        TensorSpec(
            value.name,
            _DTYPES.get(value.type, value.type),
            tuple(dim if isinstance(dim, int) else str(dim) for dim in value.shape),
        )
        for value in values
    ]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
