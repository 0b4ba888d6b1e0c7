"""CUDA through `pycuda`, which many Jetson images have. It has no graphs, and its contexts belong to threads."""

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import (
    Cuda,
    DeviceBuffer,
    DeviceInfo,
    Event,
    Function,
    Graph,
    HostBuffer,
    Module,
    Shape,
    Stream,
)

_MESSAGE = re.compile(r"^(\w+) (?:failed|error)(?: with code \d+)?: (.*)$", re.DOTALL)


class PyCuda(Cuda):
    """Device 0 through pycuda, in the device's primary context, which TensorRT uses too."""

    name = "pycuda"
    has_graphs = False

    def __init__(self) -> None:
        self._driver = driver = import_module("pycuda.driver")
        with translated(driver):
            driver.init()
            if driver.Device.count() == 0:
                raise CudaError("cuDeviceGetCount", "", "there is no CUDA device")
            device = driver.Device(0)
            attribute = driver.device_attribute
            major, minor = device.compute_capability()
            version = driver.get_driver_version()
            self.device = DeviceInfo(
                name=device.name(),
                sm=f"{major}.{minor}",
                integrated=bool(device.get_attribute(attribute.INTEGRATED)),
                can_map_host_memory=bool(device.get_attribute(attribute.CAN_MAP_HOST_MEMORY)),
                memory_mb=device.total_memory() >> 20,
                cuda_driver=f"{version // 1000}.{version % 1000 // 10}",
            )
            self._context: Any = device.retain_primary_context()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Push the context onto the thread's stack for a block."""
        with translated(self._driver):
            self._context.push()
        try:
            yield
        finally:
            self._driver.Context.pop()

    def alloc(self, nbytes: int) -> DeviceBuffer:
        """See `Cuda`."""
        return _DeviceBuffer(self._driver, nbytes)

    def alloc_pinned(self, nbytes: int) -> HostBuffer:
        """See `Cuda`."""
        return _HostBuffer(self._driver, nbytes, mapped=False)

    def alloc_mapped(self, nbytes: int) -> HostBuffer:
        """See `Cuda`."""
        return _HostBuffer(self._driver, nbytes, mapped=True)

    def stream(self) -> Stream:
        """See `Cuda`."""
        return _Stream(self._driver)

    def default_stream(self) -> Stream:
        """See `Cuda`."""
        return _DefaultStream(self._driver)

    def event(self) -> Event:
        """See `Cuda`."""
        return _Event(self._driver)

    def upload(self, address: int, array: npt.NDArray[Any], stream: Stream) -> None:
        """See `Cuda`."""
        assert isinstance(stream, _Stream)
        with translated(self._driver):
            self._driver.memcpy_htod_async(address, array, stream.stream)

    def download(self, array: npt.NDArray[Any], address: int, stream: Stream) -> None:
        """See `Cuda`."""
        assert isinstance(stream, _Stream)
        with translated(self._driver):
            self._driver.memcpy_dtoh_async(array, address, stream.stream)

    def clear(self, address: int, nbytes: int, stream: Stream) -> None:
        """See `Cuda`."""
        assert isinstance(stream, _Stream)
        with translated(self._driver):
            self._driver.memset_d8_async(address, 0, nbytes, stream.stream)

    def load(self, ptx: bytes) -> Module:
        """See `Cuda`."""
        return _Module(self._driver, ptx)

    def launch(self, function: Function, grid: Shape, block: Shape, arguments: Sequence[Any], stream: Stream) -> None:
        """See `Cuda`."""
        assert isinstance(function, _Function)
        assert isinstance(stream, _Stream)
        with translated(self._driver):
            function.function._launch_kernel(grid, block, packed(arguments), 0, stream.stream)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:  # noqa: ARG002 (the interface's signature)
        """Raise CudaError: pycuda has no graphs."""
        raise CudaError("cuStreamBeginCapture", "", "pycuda has no CUDA graphs", "install cuda-python")

    def memory(self) -> tuple[int, int]:
        """See `Cuda`."""
        with translated(self._driver):
            free, total = self._driver.mem_get_info()
        return int(free), int(total)

    def close(self) -> None:
        """Let the primary context go."""
        context, self._context = self._context, None
        if context is not None:
            with translated(self._driver):
                context.detach()


@contextmanager
def translated(driver: Any) -> Iterator[None]:
    """Turn pycuda's errors, "cuMemAlloc failed: out of memory", into CudaError."""
    try:
        yield
    except driver.Error as error:
        match = _MESSAGE.match(str(error))
        raise CudaError(match[1] if match else "pycuda", "", match[2].strip() if match else str(error)) from None


def packed(arguments: Sequence[Any]) -> bytes:
    """Return ctypes values as a kernel's parameters lie in memory: each at a multiple of its alignment."""
    buffer = bytearray()
    for argument in arguments:
        buffer.extend(bytes(-len(buffer) % ctypes.alignment(argument)))
        buffer.extend(bytes(argument))
    return bytes(buffer)


@dataclass(frozen=True)
class _Function(Function):
    function: Any


class _Module(Module):
    def __init__(self, driver: Any, ptx: bytes) -> None:
        self._driver = driver
        with translated(driver):
            self._module = driver.module_from_buffer(ptx)

    def function(self, name: str) -> Function:
        with translated(self._driver):
            return _Function(self._module.get_function(name))


class _DeviceBuffer(DeviceBuffer):
    def __init__(self, driver: Any, nbytes: int) -> None:
        self._driver = driver
        self.nbytes = nbytes
        with translated(driver):
            self._allocation: Any = driver.mem_alloc(max(1, nbytes))
        self.address = int(self._allocation)

    def free(self) -> None:
        allocation, self._allocation = self._allocation, None
        if allocation is not None:
            with translated(self._driver):
                allocation.free()


class _HostBuffer(HostBuffer):
    def __init__(self, driver: Any, nbytes: int, *, mapped: bool) -> None:
        self._driver = driver
        flags = driver.host_alloc_flags.DEVICEMAP if mapped else 0
        with translated(driver):
            array = driver.pagelocked_empty(max(1, nbytes), np.uint8, mem_flags=flags)
            self._allocation: Any = array.base
            self.address = int(self._allocation.get_device_pointer()) if mapped else 0
        self.array = array[:nbytes]

    def free(self) -> None:
        allocation, self._allocation = self._allocation, None
        if allocation is not None:
            with translated(self._driver):
                allocation.free()


class _Stream(Stream):
    def __init__(self, driver: Any) -> None:
        self._driver = driver
        with translated(driver):
            self.stream: Any = driver.Stream()
        self.handle = int(self.stream.handle)

    def synchronize(self) -> None:
        with translated(self._driver):
            self.stream.synchronize()

    def free(self) -> None:
        self.stream = None  # pycuda destroys it with its last reference


class _DefaultStream(_Stream):
    """pycuda's calls take None for it, and wait for nothing but whole contexts and streams that they made."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.stream, self.handle = None, 0

    def synchronize(self) -> None:
        with translated(self._driver):
            self._driver.Context.synchronize()


class _Event(Event):
    def __init__(self, driver: Any) -> None:
        self._driver = driver
        with translated(driver):
            self.event: Any = driver.Event(driver.event_flags.BLOCKING_SYNC)

    def record(self, stream: Stream) -> None:
        assert isinstance(stream, _Stream)
        with translated(self._driver):
            self.event.record(stream.stream)

    def synchronize(self) -> None:
        with translated(self._driver):
            self.event.synchronize()

    def ms_since(self, earlier: Event) -> float:
        assert isinstance(earlier, _Event)
        with translated(self._driver):
            return float(self.event.time_since(earlier.event))

    def free(self) -> None:
        self.event = None  # pycuda destroys it with its last reference
