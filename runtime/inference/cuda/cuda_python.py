"""CUDA through NVIDIA's `cuda-python` (package `cuda.bindings`), which uses the runtime's own primary context."""

import ctypes
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import one_line
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


class Runtime:
    """Calls of the CUDA runtime by name: `runtime("cudaMalloc", 16)` returns its results or raises CudaError."""

    def __init__(self) -> None:
        try:
            self.api: Any = import_module("cuda.bindings.runtime")
        except ImportError:
            self.api = import_module("cuda.cudart")  # the name before 12.8

    def __call__(self, name: str, *args: Any) -> Any:
        """Call `name`; return its result, or the tuple of its results."""
        code, *results = getattr(self.api, name)(*args)
        if int(code) != 0:
            raise CudaError(name, str(getattr(code, "name", code)), self.text(code), self._remedy(int(code)))
        return results[0] if len(results) == 1 else tuple(results)

    def text(self, code: Any) -> str:
        """Return CUDA's own words for an error."""
        words = self.api.cudaGetErrorString(code)[1]
        return words.decode() if isinstance(words, bytes) else str(words)

    def driver_version(self) -> str:
        """Return the newest CUDA that the driver knows, "12.6"; "" without a driver."""
        code, number = self.api.cudaDriverGetVersion()
        return _version(int(number)) if int(code) == 0 and number else ""

    def version(self) -> str:
        """Return the CUDA that this package was made for, "13.0"."""
        code, number = self.api.cudaRuntimeGetVersion()
        return _version(int(number)) if int(code) == 0 and number else ""

    def _remedy(self, code: int) -> str:
        driver = self.driver_version()
        if code == 35 and driver:  # cudaErrorInsufficientDriver, and there is a driver
            major = int(driver.split(".")[0])
            return (
                f"cuda-python is for CUDA {self.version()}, the driver for {driver}: "
                f"pip install 'cuda-python>={major},<{major + 1}'"
            )
        return ""


class Driver:
    """Calls of the CUDA driver by name, as `Runtime` makes those of the runtime."""

    def __init__(self) -> None:
        try:
            self.api: Any = import_module("cuda.bindings.driver")
        except ImportError:
            self.api = import_module("cuda.cuda")  # the name before 12.8

    def __call__(self, name: str, *args: Any) -> Any:
        """Call `name`; return its result."""
        try:
            code, *results = getattr(self.api, name)(*args)
            words = self.api.cuGetErrorString(code)[1] if int(code) != 0 else b""
        except RuntimeError as error:  # there is no libcuda, the driver's own library
            raise CudaError(name, "", one_line(error), "install NVIDIA's driver") from None
        if int(code) != 0:
            text = words.decode() if isinstance(words, bytes) else str(words)
            raise CudaError(name, str(getattr(code, "name", code)), text)
        return results[0] if results else None


class CudaPython(Cuda):
    """Device 0 through cuda-python."""

    name = "cuda-python"
    has_graphs = True

    def __init__(self) -> None:
        self._call = Runtime()
        if not self._call("cudaGetDeviceCount"):
            raise CudaError("cudaGetDeviceCount", "", "there is no CUDA device")
        self._call("cudaSetDevice", 0)
        attribute = self._call.api.cudaDeviceAttr

        def value(name: str) -> int:
            return int(self._call("cudaDeviceGetAttribute", getattr(attribute, name), 0))

        properties = self._call("cudaGetDeviceProperties", 0)
        name = properties.name
        major, minor = value("cudaDevAttrComputeCapabilityMajor"), value("cudaDevAttrComputeCapabilityMinor")
        self.device = DeviceInfo(
            name=(name.decode() if isinstance(name, bytes) else str(name)).rstrip("\0"),
            sm=f"{major}.{minor}",
            integrated=bool(value("cudaDevAttrIntegrated")),
            can_map_host_memory=bool(value("cudaDevAttrCanMapHostMemory")),
            memory_mb=int(properties.totalGlobalMem) >> 20,
            cuda_driver=self._call.driver_version(),
        )

    def current(self) -> AbstractContextManager[Any]:
        """Select the device in this thread; it stays selected, which is cheap and harms nobody."""
        self._call("cudaSetDevice", 0)
        return nullcontext()

    def alloc(self, nbytes: int) -> DeviceBuffer:
        """See `Cuda`."""
        return _DeviceBuffer(self._call, nbytes)

    def alloc_pinned(self, nbytes: int) -> HostBuffer:
        """See `Cuda`."""
        return _HostBuffer(self._call, nbytes, mapped=False)

    def alloc_mapped(self, nbytes: int) -> HostBuffer:
        """See `Cuda`."""
        return _HostBuffer(self._call, nbytes, mapped=True)

    def stream(self) -> Stream:
        """See `Cuda`."""
        return _Stream(self._call)

    def default_stream(self) -> Stream:
        """See `Cuda`."""
        return _DefaultStream(self._call)

    def event(self) -> Event:
        """See `Cuda`."""
        return _Event(self._call)

    def upload(self, address: int, array: npt.NDArray[Any], stream: Stream) -> None:
        """See `Cuda`."""
        kind = self._call.api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, stream.handle)

    def download(self, array: npt.NDArray[Any], address: int, stream: Stream) -> None:
        """See `Cuda`."""
        kind = self._call.api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, stream.handle)

    def clear(self, address: int, nbytes: int, stream: Stream) -> None:
        """See `Cuda`."""
        self._call("cudaMemsetAsync", address, 0, nbytes, stream.handle)

    def load(self, ptx: bytes) -> Module:
        """See `Cuda`."""
        return _Module(Driver(), ptx)

    def launch(self, function: Function, grid: Shape, block: Shape, arguments: Sequence[Any], stream: Stream) -> None:
        """See `Cuda`."""
        assert isinstance(function, _Function)
        places = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        handle, address = stream.handle, ctypes.addressof(places)
        function.driver("cuLaunchKernel", function.handle, *grid, *block, 0, handle, address, 0)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """See `Cuda`. Other threads may go on allocating meanwhile (capture mode "thread local")."""
        mode = self._call.api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream.handle, mode)
        try:
            work()
        except BaseException:
            self._call.api.cudaStreamEndCapture(stream.handle)  # else the stream stays in capture mode
            raise
        graph = self._call("cudaStreamEndCapture", stream.handle)
        try:
            return _Graph(self._call, self._call("cudaGraphInstantiate", graph, 0))
        finally:
            self._call("cudaGraphDestroy", graph)

    def memory(self) -> tuple[int, int]:
        """See `Cuda`."""
        free, total = self._call("cudaMemGetInfo")
        return int(free), int(total)

    def close(self) -> None:
        """Do nothing: the context belongs to the whole process."""


@dataclass(frozen=True)
class _Function(Function):
    driver: Driver
    handle: Any


class _Module(Module):
    def __init__(self, driver: Driver, ptx: bytes) -> None:
        self._driver = driver
        self._module = driver("cuModuleLoadData", ptx + b"\0")

    def function(self, name: str) -> Function:
        return _Function(self._driver, self._driver("cuModuleGetFunction", self._module, name.encode()))


class _DeviceBuffer(DeviceBuffer):
    def __init__(self, call: Runtime, nbytes: int) -> None:
        self._call = call
        self.nbytes = nbytes
        self.address = int(call("cudaMalloc", max(1, nbytes)))

    def free(self) -> None:
        address, self.address = self.address, 0
        if address:
            self._call("cudaFree", address)


class _HostBuffer(HostBuffer):
    def __init__(self, call: Runtime, nbytes: int, *, mapped: bool) -> None:
        self._call = call
        flags = call.api.cudaHostAllocMapped if mapped else call.api.cudaHostAllocDefault
        self._pointer = int(call("cudaHostAlloc", max(1, nbytes), flags))
        self.address = int(call("cudaHostGetDevicePointer", self._pointer, 0)) if mapped else 0
        memory = (ctypes.c_uint8 * max(1, nbytes)).from_address(self._pointer)
        self.array = np.ctypeslib.as_array(memory)[:nbytes]

    def free(self) -> None:
        pointer, self._pointer = self._pointer, 0
        if pointer:
            self._call("cudaFreeHost", pointer)


class _Stream(Stream):
    def __init__(self, call: Runtime) -> None:
        self._call = call
        self.handle = int(call("cudaStreamCreateWithFlags", call.api.cudaStreamNonBlocking))

    def synchronize(self) -> None:
        self._call("cudaStreamSynchronize", self.handle)

    def free(self) -> None:
        handle, self.handle = self.handle, 0
        if handle:
            self._call("cudaStreamDestroy", handle)


class _DefaultStream(_Stream):
    def __init__(self, call: Runtime) -> None:
        self._call = call
        self.handle = 0


class _Event(Event):
    def __init__(self, call: Runtime) -> None:
        self._call = call
        self._event: Any = call("cudaEventCreateWithFlags", call.api.cudaEventBlockingSync)

    def record(self, stream: Stream) -> None:
        self._call("cudaEventRecord", self._event, stream.handle)

    def synchronize(self) -> None:
        self._call("cudaEventSynchronize", self._event)

    def ms_since(self, earlier: Event) -> float:
        assert isinstance(earlier, _Event)
        return float(self._call("cudaEventElapsedTime", earlier._event, self._event))

    def free(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            self._call("cudaEventDestroy", event)


class _Graph(Graph):
    def __init__(self, call: Runtime, executable: Any) -> None:
        self._call = call
        self._executable = executable

    def launch(self, stream: Stream) -> None:
        self._call("cudaGraphLaunch", self._executable, stream.handle)

    def free(self) -> None:
        executable, self._executable = self._executable, None
        if executable is not None:
            self._call("cudaGraphExecDestroy", executable)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
