"""The part of CUDA that segrt uses. Every call raises CudaError when CUDA reports an error.

Addresses are plain integers, as TensorRT takes them. Buffers, streams, events and graphs are freed by `free`; freeing
twice does nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class DeviceInfo:
    """A GPU: name, compute capability ("8.7"), whether it shares the host's memory, its memory, the driver's CUDA."""

    name: str
    sm: str
    integrated: bool
    can_map_host_memory: bool
    memory_mb: int
    cuda_driver: str


class DeviceBuffer(ABC):
    """Memory of the GPU: `nbytes` at `address`."""

    address: int
    nbytes: int

    @abstractmethod
    def free(self) -> None:
        """Give the memory back."""


class HostBuffer(ABC):
    """Page-locked memory of the host: `array` is uint8 (nbytes,). `address` is the GPU's view of it, 0 if none."""

    array: npt.NDArray[np.uint8]
    address: int

    @abstractmethod
    def free(self) -> None:
        """Give the memory back; nobody may hold a view of `array` any more."""


class Stream(ABC):
    """A queue of work for the GPU; `handle` is CUDA's own."""

    handle: int

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all of its work is done."""

    @abstractmethod
    def free(self) -> None:
        """Destroy it."""


class Event(ABC):
    """A mark in a stream."""

    @abstractmethod
    def record(self, stream: Stream) -> None:
        """Put the mark behind the work that `stream` has now."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait, without using the CPU, until the mark is reached."""

    @abstractmethod
    def ms_since(self, earlier: "Event") -> float:
        """Return the milliseconds between two marks that have been reached."""

    @abstractmethod
    def free(self) -> None:
        """Destroy it."""


class Graph(ABC):
    """Recorded work that is launched as one."""

    @abstractmethod
    def launch(self, stream: Stream) -> None:
        """Put the work into `stream`."""

    @abstractmethod
    def free(self) -> None:
        """Destroy it."""


class Function:
    """A kernel of a loaded module; valid as long as the module."""


class Module(ABC):
    """Kernels that were loaded onto the device."""

    @abstractmethod
    def function(self, name: str) -> Function:
        """Return the kernel `name`."""


Shape = tuple[int, int, int]


class Cuda(ABC):
    """One device of one CUDA library; `name` is the Python package, `has_graphs` whether `capture` works.

    `kernels` are segrt's own once one was asked for; see `segrt.runtime.inference.cuda.kernels.kernels_on`.
    """

    name: str
    has_graphs: bool
    device: DeviceInfo
    kernels: Any = None

    @abstractmethod
    def current(self) -> AbstractContextManager[Any]:
        """Make the device current in the calling thread for a block; every other method needs that."""

    @abstractmethod
    def alloc(self, nbytes: int) -> DeviceBuffer:
        """Return memory of the GPU."""

    @abstractmethod
    def alloc_pinned(self, nbytes: int) -> HostBuffer:
        """Return page-locked memory of the host, from which copies run beside other work."""

    @abstractmethod
    def alloc_mapped(self, nbytes: int) -> HostBuffer:
        """Return page-locked memory of the host that the GPU reads and writes itself."""

    @abstractmethod
    def stream(self) -> Stream:
        """Return a new stream, which does not wait for the default one."""

    @abstractmethod
    def default_stream(self) -> Stream:
        """Return the stream of whoever names none, in which other libraries' work lies; `free` leaves it be."""

    @abstractmethod
    def event(self) -> Event:
        """Return a new event with a time."""

    @abstractmethod
    def upload(self, address: int, array: npt.NDArray[Any], stream: Stream) -> None:
        """Copy the contiguous `array` to the GPU's memory at `address`; return at once if `array` is page-locked."""

    @abstractmethod
    def download(self, array: npt.NDArray[Any], address: int, stream: Stream) -> None:
        """Copy from the GPU's memory at `address` into `array`; return at once if `array` is page-locked."""

    @abstractmethod
    def clear(self, address: int, nbytes: int, stream: Stream) -> None:
        """Set `nbytes` of the GPU's memory at `address` to 0."""

    @abstractmethod
    def load(self, ptx: bytes) -> Module:
        """Translate PTX for the device, which the driver keeps for the next time, and load it."""

    @abstractmethod
    def launch(self, function: Function, grid: Shape, block: Shape, arguments: Sequence[Any], stream: Stream) -> None:
        """Put a kernel into `stream`: `grid` blocks of `block` threads each, (x, y, z).

        `arguments` are ctypes values and structures of exactly the kernel's parameters; they are copied at once.
        """

    @abstractmethod
    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """Record what `work` puts into `stream`, without executing it."""

    @abstractmethod
    def memory(self) -> tuple[int, int]:
        """Return (free, total) bytes of the GPU's memory."""

    @abstractmethod
    def close(self) -> None:
        """Let the device go."""
