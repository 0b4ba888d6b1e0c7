"""Runs a rule's program on the emulated GPU, beside the rule's decoder on the CPU."""

import gc
from typing import Any

import numpy as np
from emulated_cuda import EmulatedCuda, emulated_kernels

from segrt.runtime.decode.cuda.program import Program
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray, GpuQueue, GpuTimes
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, PanopticResult, SemanticResult


class EmulatedQueue(GpuQueue):
    """A slot's queue without a network."""

    def __init__(self, cuda: EmulatedCuda) -> None:
        self.cuda = cuda
        self.stream = cuda.stream()
        self.inputs = {}

    def synchronize(self) -> None:
        """See `GpuQueue`."""
        self.stream.synchronize()

    def own(self, thing: Any) -> Any:
        """See `GpuQueue`; nothing is freed with it."""
        return thing

    def times(self) -> GpuTimes:
        """See `GpuQueue`."""
        return GpuTimes(0.0, 0.0)


def labels(things: str) -> tuple[Label, ...]:
    """Return a label for each letter: "t" is a thing, "s" is stuff."""
    return tuple(Label(f"class {i}", i, letter == "t", (i % 256, 7, 9)) for i, letter in enumerate(things))


def on_device(queue: EmulatedQueue, array: np.ndarray) -> DeviceArray:
    """Return a copy of `array` on the emulated GPU, which lies as close to its end as AddressSanitizer can see."""
    contiguous = np.ascontiguousarray(array)
    buffer = queue.cuda.alloc(contiguous.nbytes)
    queue.cuda.upload(buffer.address, contiguous, queue.stream)
    queue.stream.synchronize()
    there = DeviceArray(buffer.address, array.dtype, array.shape, queue)
    object.__setattr__(there, "_buffer", buffer)  # which it keeps
    return there


def decode_on_gpu(
    program: type[Program], heads: dict[str, np.ndarray], geometry: Geometry, context: Context, *, order: int = 0
) -> Any:
    """Return the result of the second of two frames: what the first has left behind must not matter.

    `order` is that of the kernels' threads and blocks.
    """
    queue = EmulatedQueue(EmulatedCuda(order=order))
    workspace = Workspace(queue, emulated_kernels(queue.cuda))
    there = {role: on_device(queue, head) for role, head in heads.items()}
    made = program(there, geometry, context, workspace)
    for _ in range(2):
        made.enqueue()
        made.download()
        queue.synchronize()
    result = made.result()
    workspace.close()
    lent = 1 if isinstance(result, SemanticResult | PanopticResult) else 0  # the memory that the result lies in
    held = len(heads) + 1 + lent  # the heads and the stream
    if queue.cuda.alive != held:
        gc.collect()
        assert queue.cuda.alive == held
    return result


def decode_on_cpu(heads: dict[str, np.ndarray], geometry: Geometry, context: Context) -> Any:
    """Return what the CPU's decoder makes of the same heads."""
    return find_decoder(context.decode, "cpu")(heads, geometry, context)
