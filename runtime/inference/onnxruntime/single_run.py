"""Executes an ONNX file once on the CPU: what others are compared with."""

from collections.abc import Mapping
from pathlib import Path

from segrt.runtime.inference.onnxruntime.network_session import (
    NetworkSource,
    bounded,
    cannot_execute,
    open_cpu_session,
)
from segrt.runtime.inference.tensors import Array


def run_file(path: Path, inputs: Mapping[str, Array], *, threads: int = 0) -> dict[str, Array]:
    """Execute the ONNX file at `path` once on the CPU, whatever its outputs are; return them all, name → array."""
    source = NetworkSource.read(path)
    session = open_cpu_session(source, threads)
    names = [value.name for value in session.get_outputs()]
    options = None
    try:
        with bounded(source.has_loops) as options:
            return dict(zip(names, session.run(names, dict(inputs), options), strict=True))
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise cannot_execute(path, error, options) from error
