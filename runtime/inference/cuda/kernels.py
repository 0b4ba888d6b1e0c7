"""segrt's CUDA kernels: PTX that lies beside this file, loaded when a kernel is first asked for."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import Cuda, DeviceInfo, Function, Module

PTX = Path(__file__).with_name("ptx")
NO_KERNELS = (
    "this build of segrt has no CUDA kernels: install its wheel, "
    "or `pip install nvidia-cuda-nvrtc-cu12` and build it again without build isolation"
)
_LEAST_SM = (7, 5)
_ENTRY = re.compile(rb"\.entry\s+(\w+)")
_NEWER = "this build's kernels are of a newer CUDA than the driver: update the driver, or install segrt's wheel"
_OLDER = "the kernels are for compute capability 7.5 and newer: take --decode cpu"
_DAMAGED = "the file is damaged: install segrt again"
_NO_COMPILER = "the driver lacks libnvidia-ptxjitcompiler: install the driver again"
# What the driver says of PTX that it cannot use, by name and in words (pycuda has these alone) → what helps.
_REMEDIES = {
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": _NEWER,
    "the provided PTX was compiled with an unsupported toolchain.": _NEWER,
    "CUDA_ERROR_NO_BINARY_FOR_GPU": _OLDER,
    "no kernel image is available for execution on the device": _OLDER,
    "CUDA_ERROR_INVALID_PTX": _DAMAGED,
    "a PTX JIT compilation failed": _DAMAGED,
    "CUDA_ERROR_JIT_COMPILER_NOT_FOUND": _NO_COMPILER,
    "PTX JIT compiler library not found": _NO_COMPILER,
}
_LOCK = Lock()


class Kernels:
    """The kernels on one device. `function` raises CudaError, with the remedy, when the driver cannot take them.

    `read` returns the PTX of a file of kernels; by default what was installed.
    """

    def __init__(self, cuda: Cuda, read: Callable[[str], bytes] | None = None) -> None:
        self.cuda = cuda
        self._read = read or _ptx
        self._modules: dict[str, Module] = {}
        self._functions: dict[tuple[str, str], Function] = {}
        self._lock = Lock()

    def function(self, file: str, name: str) -> Function:
        """Return kernel `name` of the file `file` (of cpp_postproc/cuda, without its ending)."""
        with self._lock:
            key = (file, name)
            if key not in self._functions:
                with self._helpful(file):
                    self._functions[key] = self._loaded(file).function(name)
            return self._functions[key]

    def why_not(self, file: str) -> str | None:
        """Return why the driver does not take the kernels of `file`, or None; raise CudaError when the GPU is lost."""
        try:
            first = _ENTRY.search(self._read(file))
            with self._lock, self._helpful(file):
                self._loaded(file)
            if first is not None:  # drivers may put off the translation until a kernel is asked for
                self.function(file, first[1].decode())
        except BackendError as error:
            if isinstance(error, CudaError) and error.is_sticky:
                raise
            return str(error)
        return None

    def _loaded(self, file: str) -> Module:
        if file not in self._modules:
            self._modules[file] = self.cuda.load(self._read(file))
        return self._modules[file]

    @contextmanager
    def _helpful(self, file: str) -> Iterator[None]:
        """Add the remedy to an error that says why the driver does not take PTX."""
        try:
            yield
        except CudaError as error:
            remedy = next((what for sign, what in _REMEDIES.items() if sign in (error.code, error.text)), None)
            if remedy is None:
                raise
            call = f"{error.call} of {file}.ptx on {self.cuda.device.name}"
            raise CudaError(call, error.code, error.text, remedy) from None


def kernels_on(cuda: Cuda) -> Kernels:
    """Return the kernels that are loaded on `cuda`, the same ones each time."""
    with _LOCK:
        if cuda.kernels is None:
            cuda.kernels = Kernels(cuda)
        kernels: Kernels = cuda.kernels
        return kernels


def why_no_kernels(device: DeviceInfo) -> str | None:
    """Return why segrt's kernels cannot run on `device`, with the remedy, or None if nothing speaks against it."""
    if not built_files():
        return NO_KERNELS
    major, minor = device.sm.split(".")
    if (int(major), int(minor)) < _LEAST_SM:
        return f"segrt's CUDA kernels need compute capability 7.5, but {device.name} has {device.sm}"
    return None


def built_files() -> tuple[str, ...]:
    """Return the names of the files of kernels that this build of segrt has."""
    return tuple(sorted(path.stem for path in PTX.glob("*.ptx")))


def _ptx(file: str) -> bytes:
    try:
        return (PTX / f"{file}.ptx").read_bytes()
    except OSError as error:
        raise BackendError(f"{PTX / file}.ptx: cannot be read ({error.strerror}); install segrt again") from None
