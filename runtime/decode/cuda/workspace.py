"""Memory and launches of one decode rule on one slot of the GPU."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.lent_memory import LentMemory
from segrt.runtime.inference.cuda.device_array import DeviceArray, GpuQueue
from segrt.runtime.inference.cuda.interface import DeviceBuffer, HostBuffer, Shape
from segrt.runtime.inference.cuda.kernels import Kernels

Argument = int | float | DeviceArray | DeviceBuffer | ctypes._SimpleCData | ctypes.Structure  # type: ignore[type-arg]


class Workspace:
    """Allocates on the GPU and on the host, and puts kernels and copies into a slot's stream.

    Use inside `queue.cuda.current()`. `close` frees what was allocated.
    """

    def __init__(self, queue: GpuQueue, kernels: Kernels) -> None:
        self.queue = queue
        self._kernels = kernels
        self._owned: list[DeviceBuffer | HostBuffer] = []
        self._endings: list[Callable[[], None]] = []
        self._others: list[Workspace] = []

    def beside(self, queue: GpuQueue) -> Workspace:
        """Return a workspace for work in another queue of the same device, closed with this one."""
        other = Workspace(queue, self._kernels)
        self._others.append(other)
        return other

    def device(self, dtype: npt.DTypeLike, *shape: int) -> DeviceArray:
        """Return memory of the GPU with arbitrary content."""
        array = DeviceArray(0, np.dtype(dtype), shape, self.queue)
        buffer = self.queue.cuda.alloc(array.nbytes)
        self._owned.append(buffer)
        return DeviceArray(buffer.address, array.dtype, shape, self.queue)

    def pinned(self, dtype: npt.DTypeLike, *shape: int) -> npt.NDArray[Any]:
        """Return page-locked memory of the host, into which `download` copies beside other work."""
        nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self.queue.cuda.alloc_pinned(nbytes)
        self._owned.append(buffer)
        array: npt.NDArray[Any] = buffer.array[:nbytes].view(dtype).reshape(shape)
        return array

    def lent(self, nbytes: int) -> LentMemory:
        """Return page-locked memory for what goes out with results."""
        memory = LentMemory(self.queue.cuda, nbytes)
        self.at_close(memory.close)
        return memory

    def at_close(self, call: Callable[[], None]) -> None:
        """Let `close` call this, before what was asked for until now."""
        self._endings.append(call)

    def upload(self, array: npt.NDArray[Any]) -> DeviceArray:
        """Return a copy of `array` on the GPU, made at once: for tables that do not change from frame to frame."""
        there = self.device(array.dtype, *array.shape)
        contiguous = np.ascontiguousarray(array)
        self.queue.cuda.upload(there.address, contiguous, self.queue.stream)
        self.queue.stream.synchronize()
        return there

    def clear(self, array: DeviceArray) -> None:
        """Put into the stream that all of `array` becomes 0."""
        self.queue.cuda.clear(array.address, array.nbytes, self.queue.stream)

    def download(self, host: npt.NDArray[Any], array: DeviceArray) -> None:
        """Put into the stream that `host`, of `array`'s bytes, becomes a copy of it."""
        self.queue.cuda.download(host, array.address, self.queue.stream)

    def launch(self, file: str, kernel: str, grid: Shape, block: Shape, *arguments: Argument) -> None:
        """Put a kernel of cpp_postproc/cuda/`file`.cu into the stream.

        An int goes as int32, a float as float, an array as its address; whatever else is given as ctypes value.
        """
        function = self._kernels.function(file, kernel)
        self.queue.cuda.launch(function, grid, block, [_as_parameter(each) for each in arguments], self.queue.stream)

    def another(self) -> Workspace:
        """Return one of its own for the same queue, for a frame that needs more memory than others."""
        return Workspace(self.queue, self._kernels)

    def close(self) -> None:
        """Free everything; nothing may be running on it."""
        while self._others:
            self._others.pop().close()
        while self._endings:
            self._endings.pop()()
        while self._owned:
            self._owned.pop().free()


def _as_parameter(argument: Argument) -> Any:
    if isinstance(argument, DeviceArray | DeviceBuffer):
        return ctypes.c_void_p(argument.address)
    if isinstance(argument, int):
        return ctypes.c_int32(argument)
    return ctypes.c_float(argument) if isinstance(argument, float) else argument
