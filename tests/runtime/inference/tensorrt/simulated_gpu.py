"""A GPU that is none: CUDA's memory is the host's, streams are queues, and engines run in ONNX Runtime.

It shows that the backend binds, copies, orders and frees things rightly. It shows nothing about CUDA or TensorRT
themselves; for that there are the scripts under tests/gpu.
"""

# ruff: noqa: ARG002, D101, D102 (what the fakes' methods do is in the interfaces, which say what they take)

import ctypes
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import (
    Cuda,
    DeviceBuffer,
    DeviceInfo,
    Event,
    Graph,
    HostBuffer,
    Module,
    Stream,
)
from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.messages import Messages

DTYPES = {"tensor(uint8)": "UINT8", "tensor(float)": "FLOAT", "tensor(int64)": "INT64", "tensor(float16)": "HALF"}


class FakeCuda(Cuda):
    """Counts what is alive, keeps the order of copies in `log`, and fails where `fail` says so.

    Two marks of a stream are 1.5 ms apart, unless there is a `clock` (in seconds).
    """

    name = "fake"
    has_graphs = True

    def __init__(self, *, integrated: bool = False, memory: int = 1 << 30) -> None:
        self.device = DeviceInfo("Fake GPU", "8.7", integrated, True, memory >> 20, "12.6")
        self.left, self.alive, self.log = memory, 0, []
        self.streams: dict[int, FakeStream] = {}
        self.fail: dict[str, CudaError] = {}
        self.handles = count(1)
        self.clock: Callable[[], float] | None = None

    def check(self, call: str) -> None:
        if call in self.fail:
            raise self.fail[call]

    def current(self) -> Any:
        return nullcontext()

    def alloc(self, nbytes: int) -> DeviceBuffer:
        return FakeBuffer(self, nbytes)

    def alloc_pinned(self, nbytes: int) -> HostBuffer:
        return FakeHostBuffer(self, nbytes, mapped=False)

    def alloc_mapped(self, nbytes: int) -> HostBuffer:
        return FakeHostBuffer(self, nbytes, mapped=True)

    def stream(self) -> Stream:
        return FakeStream(self)

    def default_stream(self) -> Stream:
        return FakeDefaultStream(self)

    def event(self) -> Event:
        return FakeEvent(self)

    def upload(self, address: int, array: Any, stream: Any) -> None:
        stream.put("upload", lambda: ctypes.memmove(address, array.ctypes.data, array.nbytes))

    def download(self, array: Any, address: int, stream: Any) -> None:
        stream.put("download", lambda: ctypes.memmove(array.ctypes.data, address, array.nbytes))

    def clear(self, address: int, nbytes: int, stream: Any) -> None:
        stream.put("clear", lambda: ctypes.memset(address, 0, nbytes))

    def load(self, ptx: bytes) -> Module:
        raise CudaError("cuModuleLoadData", "", "this one has no kernels")

    def launch(self, function: Any, grid: Any, block: Any, arguments: Any, stream: Any) -> None:
        raise CudaError("cuLaunchKernel", "", "this one has no kernels")

    def capture(self, stream: Any, work: Callable[[], None]) -> Graph:
        self.check("capture")
        waiting, stream.queue = stream.queue, []
        try:
            work()
        finally:
            recorded, stream.queue = stream.queue, waiting
        return FakeGraph(self, recorded)

    def memory(self) -> tuple[int, int]:
        return self.left, self.device.memory_mb << 20

    def close(self) -> None:
        self.log.append("close")


class Alive:
    """Something that must be freed once."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        cuda.alive += 1
        self.freed = False

    def free(self) -> None:
        assert not self.freed, "freed twice"
        self.freed = True
        self.cuda.alive -= 1


class FakeBuffer(Alive, DeviceBuffer):
    def __init__(self, cuda: FakeCuda, nbytes: int) -> None:
        if nbytes > cuda.left:
            raise CudaError("cudaMalloc", "cudaErrorMemoryAllocation", "out of memory")
        cuda.left -= nbytes
        super().__init__(cuda)
        self.nbytes, self.memory = nbytes, np.full(nbytes, 0xAA, np.uint8)
        self.address = self.memory.ctypes.data

    def free(self) -> None:
        super().free()
        self.cuda.left += self.nbytes


class FakeHostBuffer(Alive, HostBuffer):
    def __init__(self, cuda: FakeCuda, nbytes: int, *, mapped: bool) -> None:
        super().__init__(cuda)
        self.array = np.zeros(nbytes, np.uint8)
        self.address = self.array.ctypes.data if mapped else 0


class FakeStream(Alive, Stream):
    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__(cuda)
        self.handle = next(cuda.handles)
        self.queue: list[tuple[str, Callable[[], Any]]] = []
        cuda.streams[self.handle] = self

    def put(self, what: str, work: Callable[[], Any]) -> None:
        self.queue.append((what, work))

    def synchronize(self) -> None:
        self.cuda.check("cudaStreamSynchronize")
        while self.queue:
            what, work = self.queue.pop(0)
            work()
            if what:
                self.cuda.log.append(what)


class FakeDefaultStream(FakeStream):
    """Is there without anybody making it."""

    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__(cuda)
        self.handle, self.freed = 0, True
        cuda.alive -= 1

    def free(self) -> None:
        pass


class FakeEvent(Alive, Event):
    at: FakeStream

    when = 0.0

    def record(self, stream: Any) -> None:
        self.at = stream
        stream.put("", self._reached)

    def _reached(self) -> None:
        if self.cuda.clock is not None:
            self.when = self.cuda.clock()

    def synchronize(self) -> None:
        self.cuda.check("cudaEventSynchronize")
        self.at.synchronize()

    def ms_since(self, earlier: Any) -> float:
        if self.cuda.clock is not None:
            return (self.when - earlier.when) * 1e3
        return 1.5


class FakeGraph(Alive, Graph):
    def __init__(self, cuda: FakeCuda, work: list[tuple[str, Callable[[], Any]]]) -> None:
        super().__init__(cuda)
        self.work = work

    def launch(self, stream: Any) -> None:
        stream.put("graph", lambda: None)
        for what, work in self.work:
            stream.put(what, work)


class FakeEngine:
    """An ONNX file as TensorRT's engine."""

    def __init__(self, path: Path, cuda: FakeCuda, api: Any) -> None:
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.cuda, self.api = cuda, api
        self.tensors = {value.name: (value, api.TensorIOMode.INPUT) for value in self.session.get_inputs()}
        self.tensors |= {value.name: (value, api.TensorIOMode.OUTPUT) for value in self.session.get_outputs()}
        self.num_io_tensors = len(self.tensors)
        self.caches: list[Any] = []

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self.tensors[name][1]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=DTYPES[self.tensors[name][0].type])

    def get_tensor_shape(self, name: str) -> list[int]:
        return [dim if isinstance(dim, int) else -1 for dim in self.tensors[name][0].shape]

    def create_execution_context(self, config: Any = None) -> "FakeContext":
        self.config = config
        return FakeContext(self)

    def create_runtime_config(self) -> Any:
        kept = SimpleNamespace(content=b"")
        kept.deserialize = lambda blob: bool(setattr(kept, "content", blob) or blob)
        kept.serialize = lambda: kept.content or b"compiled kernels"
        return SimpleNamespace(
            create_runtime_cache=lambda: kept, set_runtime_cache=lambda cache: self.caches.append(cache)
        )

    def create_engine_inspector(self) -> Any:
        text = '{"Layers": [{"Name": "first", "Inputs": [{"Name": "x", "Format/Datatype": "Row major linear FP16"}]}]}'
        return SimpleNamespace(get_engine_information=lambda form: text)  # noqa: ARG005


class FakeContext:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine, self.addresses, self.shapes = engine, {}, {}
        self.profiler: Any = None

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return all(want in (-1, got) for want, got in zip(self.engine.get_tensor_shape(name), shape, strict=True))

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return name in self.engine.tensors

    def execute_async_v3(self, handle: int) -> bool:
        if "execute" in self.engine.cuda.fail:
            self.engine.api.messages.add(str(self.engine.cuda.fail["execute"]), error=True)
            return False
        assert set(self.addresses) == set(self.engine.tensors), "every tensor needs an address"
        self.engine.cuda.streams[handle].put("compute", self._run)
        return True

    def _run(self) -> None:
        session = self.engine.session
        feeds = {
            value.name: _at(self.addresses[value.name], self.shapes[value.name], DTYPES[value.type])
            for value in session.get_inputs()
        }
        for value, result in zip(session.get_outputs(), session.run(None, feeds), strict=True):
            ctypes.memmove(self.addresses[value.name], result.ctypes.data, result.nbytes)
        if self.profiler is not None:
            for name in ("first", "second"):
                self.profiler.report_layer_time(name, 0.25)


def fake_flavor(path: Path, cuda: FakeCuda) -> Flavor:
    """Return a flavour whose every plan is the network at `path`; a plan of b"bad" does not load."""
    messages = Messages()

    class Runtime:
        def __init__(self, logger: Any) -> None:
            pass

        def deserialize_cuda_engine(self, plan: bytes) -> FakeEngine | None:
            if bytes(plan) == b"bad":
                messages.add("IRuntime::deserializeCudaEngine: Error Code 1: Serialization (magic tag)", error=True)
                return None
            return FakeEngine(path, cuda, api)

    class IProfiler:
        pass

    api = SimpleNamespace(
        Runtime=Runtime,
        IProfiler=IProfiler,
        TensorIOMode=Enum("TensorIOMode", ["INPUT", "OUTPUT"]),
        LayerInformationFormat=Enum("LayerInformationFormat", ["JSON"]),
        messages=messages,
    )
    return Flavor("tensorrt", "10.3.0", api, None, messages)


def rtx_on_fake_gpu(real: Flavor, path: Path, cuda: FakeCuda) -> Flavor:
    """Return the installed TensorRT-RTX, which builds for real, with engines that run as those of `fake_flavor`."""
    fake = fake_flavor(path, cuda)

    class Api:
        Runtime = fake.api.Runtime
        TensorIOMode = fake.api.TensorIOMode
        LayerInformationFormat = fake.api.LayerInformationFormat

        def __getattr__(self, name: str) -> Any:
            return getattr(real.api, name)

    fake.api.messages = real.messages
    return Flavor(real.name, real.version, Api(), real.logger, real.messages)


def _at(address: int, shape: tuple[int, ...], dtype: str) -> Any:
    kind = {"UINT8": np.uint8, "FLOAT": np.float32, "INT64": np.int64, "HALF": np.float16}[dtype]
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    return np.ctypeslib.as_array(memory).view(kind).reshape(shape).copy()
