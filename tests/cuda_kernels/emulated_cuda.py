"""segrt's CUDA kernels on a CPU: compiled as C++, run by the emulator of cpp_postproc/cuda, launched like on a GPU.

The library is built anew when a source has changed. `SEGRT_EMULATED_FLAGS` adds compiler flags (sanitizers).
"""

# ruff: noqa: D101, D102 (what the methods do is in the interfaces)

import ctypes
import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import Function, Module
from segrt.runtime.inference.cuda.kernels import Kernels

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "runtime" / "inference" / "tensorrt"))

from simulated_gpu import FakeCuda  # noqa: E402

CORE = ROOT / "cpp_postproc"
OUT = ROOT / "build" / "cuda"
_ONE_AT_A_TIME = Lock()  # the emulator has one set of threads
FLAGS = ("-std=c++20", "-O1", "-g1", "-Wall", "-Wextra", "-ffp-contract=off", "-fno-math-errno", "-fPIC")


def emulated_library() -> ctypes.CDLL:
    """Return the kernels compiled as C++; each is `emulated_NAME(unsigned shape[6], void** arguments)`."""
    extra = os.environ.get("SEGRT_EMULATED_FLAGS", "").split()
    folder = OUT / "-".join(["emulated", *extra]).replace("=", "_")
    folder.mkdir(parents=True, exist_ok=True)
    sources = [*sorted((CORE / "cuda").glob("*.cu")), *sorted((CORE / "cuda" / "emulator").glob("*.cpp"))]
    headers = max(path.stat().st_mtime for path in [*(CORE / "cuda").rglob("*.h"), *CORE.glob("*.h")])
    library = folder / "libemulated.so"

    def compiled(source: Path) -> Path:
        made = folder / f"{source.stem}.o"
        if not made.exists() or made.stat().st_mtime < max(headers, source.stat().st_mtime):
            unfinished = made.with_suffix(".unfinished")
            includes = (f"-I{CORE}", f"-I{CORE / 'cuda'}")
            command = ["g++", *FLAGS, *extra, *includes, "-x", "c++", "-c", str(source), "-o", str(unfinished)]
            subprocess.run(command, check=True)
            unfinished.replace(made)
        return made

    with (OUT / "lock").open("w") as lock, ThreadPoolExecutor(2) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        parts = list(pool.map(compiled, sources))
        if not library.exists() or library.stat().st_mtime < max(path.stat().st_mtime for path in parts):
            subprocess.run(["g++", "-shared", *extra, *map(str, parts), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


class EmulatedCuda(FakeCuda):
    """A GPU whose memory is the host's and whose kernels run in the emulator; `order` as in `choose_order`."""

    def __init__(self, *, order: int = 0, integrated: bool = False, memory: int = 4 << 30) -> None:
        super().__init__(integrated=integrated, memory=memory)
        self.library = emulated_library()
        self.order = order
        self.launched: list[str] = []

    def load(self, ptx: bytes) -> Module:  # noqa: ARG002 (the interface's signature)
        self.check("cuModuleLoadData")
        return EmulatedModule(self)

    def launch(self, function: Any, grid: Any, block: Any, arguments: Sequence[Any], stream: Any) -> None:
        self.check("cuLaunchKernel")
        assert 1 <= block[0] * block[1] * block[2] <= 1024, f"{function.name}: a block of {block} threads"
        assert all(1 <= length < 65536 for length in (*grid[1:], *block)), f"{function.name}: grid {grid}"
        copies = [type(argument).from_buffer_copy(argument) for argument in arguments]
        stream.put("kernel", lambda: self._run(function, grid, block, copies))

    def _run(self, function: Any, grid: Any, block: Any, arguments: Sequence[Any]) -> None:
        self.launched.append(function.name)
        shape = (ctypes.c_uint * 6)(*grid, *block)
        with _ONE_AT_A_TIME:
            self.library.choose_order(self.order)
            function.entry(shape, (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments)))


def emulated_kernels(cuda: EmulatedCuda) -> Kernels:
    """Return the kernels on `cuda`, for which no PTX need be there."""
    return Kernels(cuda, read=lambda _: b"")


class EmulatedModule(Module):
    def __init__(self, cuda: EmulatedCuda) -> None:
        self.cuda = cuda

    def function(self, name: str) -> Function:
        try:
            entry = getattr(self.cuda.library, f"emulated_{name}")
        except AttributeError:
            raise CudaError("cuModuleGetFunction", "CUDA_ERROR_NOT_FOUND", "named symbol not found") from None
        return EmulatedFunction(name, entry)


class EmulatedFunction(Function):
    def __init__(self, name: str, entry: Any) -> None:
        self.name, self.entry = name, entry
