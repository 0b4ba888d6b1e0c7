"""ONNX Runtime: `network_session` opens sessions, `cuda_provider` those on CUDA, the rest puts slots around them.

`host_slots` executes on arrays of the host, one execution at a time; `cuda_slots` gives each slot its own stream,
memory and session on the GPU; `session_backend` takes one of them. `single_run` executes a file once, on the CPU.
"""

from segrt.runtime.inference.onnxruntime.session_backend import OnnxRuntimeBackend
from segrt.runtime.inference.onnxruntime.single_run import run_file

__all__ = ["OnnxRuntimeBackend", "run_file"]
