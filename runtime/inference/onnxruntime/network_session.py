"""Opens an ONNX file in ONNX Runtime, after looking into it, and says in one line what goes wrong."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from segrt.runtime.errors import BackendError, one_line
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.inference.onnx_scan import OnnxTraits, refuse_external_data, scan
from segrt.runtime.inference.tensors import TensorSpec
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
_LITTLE_MEMORY: ContextVar[bool] = ContextVar("little_memory", default=False)
_TIME_IS_OVER = f"it has loops and ran for more than {_LONGEST_LOOP:g} s"


@dataclass
class NetworkSource:
    """What sessions of one network are opened from: the file's bytes, or its path where it is large.

    `content` is None once `forget` was called: sessions have copies of their own.
    """

    path: Path
    content: bytes | str | None
    has_loops: bool

    @classmethod
    def read(cls, path: Path) -> "NetworkSource":
        """Look into the ONNX file at `path`, which keeps no tensors elsewhere; raise BackendError or BundleError."""
        content, traits = _scanned(path)
        return cls(path, content, traits.has_loops)

    def forget(self) -> None:
        """Give the bytes back, once all sessions are open."""
        self.content = None


@contextmanager
def little_memory() -> Iterator[None]:
    """Let sessions that are opened inside the block give memory back as soon as they need it no more, and plan none.

    ONNX Runtime's arena keeps what it once had and grows to twice of it: DETR takes half as much without it, and a
    quarter more time. Its plan holds a buffer from the first tensor that lies in it to the last, and the gaps between
    them too: DETR rounded to float16 takes a third less without. That suits who runs a network a few times beside other
    work, not a stream.
    """
    token = _LITTLE_MEMORY.set(True)
    try:
        yield
    finally:
        _LITTLE_MEMORY.reset(token)


def session_options(threads: int, profile: Path | None = None) -> Any:
    """Return options with so many threads (0: one a core); `profile` begins the names of the profiler's files."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    options.intra_op_num_threads = _threads_for_session(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    plentiful = not _LITTLE_MEMORY.get()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = options.enable_mem_reuse = plentiful
    # Threads that spin while they wait for work take the cores from the other stages of a stream: on two busy cores
    # they doubled the CPU time of the embedded networks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Else it tells ORT's own format from ONNX by the bytes, and a file can be both.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def open_session(source: NetworkSource, options: Any, providers: Sequence[Any]) -> Any:
    """Return a session on `providers`, names or (name, options); ONNX Runtime's own errors are passed on.

    Where CUDA's provider does not load, ONNX Runtime leaves it out: `get_providers` of the session says so.
    """
    import onnxruntime

    content = _scanned(source.path)[0] if source.content is None else source.content
    # Its fallback to the CPU prints to standard output and hides why the GPU was refused.
    session = onnxruntime.InferenceSession(content, options, providers=list(providers), enable_fallback=0)
    session.disable_fallback()
    # It keeps the bytes only to open the session once more on other providers, which is not asked of it.
    session._model_bytes = None
    return session


def open_cpu_session(source: NetworkSource, threads: int, *, profile: Path | None = None) -> Any:
    """Return a session on the CPU, whatever else there is; raise BackendError where it cannot be loaded."""
    try:
        return open_session(source, session_options(threads, profile), ["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise cannot_load(source.path, error) from error


@contextmanager
def bounded(has_loops: bool) -> Iterator[Any]:
    """Give the options of one execution; one with loops is ended when its time is over.

    Without loops a network's time follows from its size.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    # Its default. Where it is not there, ONNX Runtime 1.32 throws and catches an exception at each execution, which
    # ends the process where another library (GStreamer's bindings) has brought its own way to throw.
    options.add_run_config_entry("gpu_graph_id", "0")
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


def cannot_load(path: Path, error: Exception) -> BackendError:
    """Return the error for a network that no session takes."""
    return BackendError(f"{path}: ONNX Runtime cannot load the network ({one_line(error)})")


def cannot_execute(path: Path, error: Exception, options: Any) -> BackendError:
    """Return the error for an execution with run options `options` (None before there were any) that failed."""
    why = _TIME_IS_OVER if options is not None and options.terminate else one_line(error)
    return BackendError(f"{path}: ONNX Runtime cannot execute the network ({why})")


def tensor_specs(values: Sequence[Any]) -> list[TensorSpec]:
    """Return the inputs or outputs of a session as segrt describes them."""
    return [
        TensorSpec(
            value.name,
            _DTYPES.get(value.type, value.type),
            tuple(dim if isinstance(dim, int) else str(dim) for dim in value.shape),
        )
        for value in values
    ]


def _threads_for_session(threads: int) -> int:
    """Return how many threads a session may have, as ONNX Runtime takes it: 0 lets it take one a core."""
    wanted = threads or os.cpu_count() or 1
    given = threads_to_be_had(wanted)
    return threads if given == wanted else given


def _scanned(path: Path) -> tuple[bytes | str, OnnxTraits]:
    try:
        size = path.stat().st_size
        data = read_bytes(path, _MOST_BYTES) if size <= _MOST_BYTES else None
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    if data is None:
        return str(path), refuse_external_data(path)
    return data, scan(data, str(path))
