"""ONNX Runtime's CUDA provider: which options it is opened with, and what is done where a release refuses one.

The options are described on https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html.
"""

import io
import logging
import re
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from segrt.runtime.errors import one_line
from segrt.runtime.inference.cuda.cuda_errors import is_memory_text, is_sticky_text
from segrt.runtime.inference.onnxruntime.network_session import NetworkSource, open_session, session_options

log = logging.getLogger("segrt.onnxruntime")

CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_FATAL = 4  # ONNX Runtime's level of messages
_UNKNOWN = re.compile(r"unknown provider option:?\s*[\"']?(\w+)", re.IGNORECASE)
_NO_TF32_OPTION = "this onnxruntime has no option use_tf32, so that fp32 is computed in TF32 on GPUs since Ampere"
# What is lost with an option that a release does not know; the others cost nothing but time.
_LOST_WITH = {"use_tf32": f"{_NO_TF32_OPTION}; install onnxruntime-gpu 1.18 or newer"}


@dataclass(frozen=True)
class CudaOptions:
    """How a session runs on the GPU.

    stream: the handle of the stream that all of its work goes into, 0 for one of ONNX Runtime's own. graph: record the
    work, to be launched as one. tf32: products of float32 may be computed in TF32, which rounds factors to 10 bits.
    channels_last: convolutions get their maps channels last, for the network computes in a type that tensor cores take
    (TF32, float16).
    """

    stream: int = 0
    graph: bool = False
    tf32: bool = False
    channels_last: bool = False

    def as_provider_options(self) -> dict[str, str]:
        """Return what ONNX Runtime is told."""
        options = {
            "device_id": "0",
            "use_tf32": "1" if self.tf32 else "0",
            # Each convolution is tried once, in the run that a slot makes when it is opened: pictures of one size pay
            # for the best algorithm once.
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            # cuDNN's tensor-core convolutions take channels last. Without tensor cores the transposes are all that
            # this would add.
            "prefer_nhwc": "1" if self.channels_last else "0",
        }
        if self.stream:
            options["user_compute_stream"] = str(self.stream)
        if self.graph:
            options["enable_cuda_graph"] = "1"
        return options


@dataclass(frozen=True)
class CudaSession:
    """A session on CUDA. `why_no_graph` is "" where its work is recorded; `remarks` say what this release lacks."""

    session: Any
    why_no_graph: str
    remarks: tuple[str, ...]


class NoCudaError(Exception):
    """ONNX Runtime does not use the GPU here; the text says why, "" where it gives no reason."""


class NoStreamError(Exception):
    """This release cannot work in a stream of ours, so that it would not wait for what is copied there."""


def is_offered() -> bool:
    """Whether this ONNX Runtime was built with CUDA; its libraries may still be missing."""
    import onnxruntime

    return CUDA in onnxruntime.get_available_providers()


def open_cuda_session(
    source: NetworkSource, threads: int, wanted: CudaOptions, *, why_no_graph: str = "", profile: Path | None = None
) -> CudaSession:
    """Return a session of `source` on CUDA, with a graph where ONNX Runtime agrees to one.

    Options that this release does not know are left out. `why_no_graph` is the reason where none is wanted. Raises
    NoCudaError where the provider does not load, NoStreamError where it takes no stream of ours; ONNX Runtime's error
    where the GPU is lost or full.
    """
    load_libraries()
    quieten()
    unknown: list[str] = []
    layout = wanted.channels_last
    while True:
        told = {name: value for name, value in wanted.as_provider_options().items() if name not in unknown}
        try:
            session = open_session(source, session_options(threads, profile), [(CUDA, told), _CPU])
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            reason = one_line(error)
            option = _UNKNOWN.search(reason)
            if option is not None and option[1] == "user_compute_stream":
                raise NoStreamError("this onnxruntime has no option user_compute_stream") from error
            if option is not None and option[1] in told:
                unknown.append(option[1])
            elif is_sticky_text(reason) or is_memory_text(reason):
                raise
            elif wanted.graph and wanted.channels_last:
                # Of networks that take any batch, channels last brings nodes that stay on the CPU; a graph spares more.
                wanted = replace(wanted, channels_last=False)
            elif wanted.graph:  # it is refused for networks with control flow, or with nodes that stay on the CPU
                wanted, why_no_graph = replace(wanted, graph=False, channels_last=layout), reason
            else:
                raise NoCudaError(reason) from error
            continue
        if CUDA not in session.get_providers():
            raise NoCudaError("")
        if "enable_cuda_graph" in unknown and not why_no_graph:
            why_no_graph = "this onnxruntime has no option enable_cuda_graph"
        return CudaSession(session, why_no_graph, _remarks(unknown, wanted))


def _remarks(unknown: list[str], wanted: CudaOptions) -> tuple[str, ...]:
    remarks = []
    for name in unknown:
        if name != "use_tf32":
            remarks.append(f"this onnxruntime does not know the option {name}")
        elif not wanted.tf32:
            remarks.append(_LOST_WITH[name])
    return tuple(remarks)


def quieten() -> None:
    """Let ONNX Runtime write nothing itself: what fails is raised, and the rest is how it looks for what it can use."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)


@cache
def load_libraries() -> None:
    """Load the CUDA and cuDNN libraries that pip installed (`onnxruntime-gpu[cuda,cudnn]`), wherever they lie.

    Only newer releases can. What is missing the provider itself says; here it is noted for whoever looks for it.
    """
    import onnxruntime

    if not is_offered() or not hasattr(onnxruntime, "preload_dlls") or find_spec("nvidia") is None:
        return
    said = io.StringIO()
    with redirect_stdout(said):  # it prints what it misses
        onnxruntime.preload_dlls()
    for line in said.getvalue().splitlines():
        log.debug("%s", line)
