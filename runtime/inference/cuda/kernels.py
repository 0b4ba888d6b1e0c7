"""segrt's CUDA kernels: PTX that lies beside this file, loaded when a kernel is first asked for."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.cuda.interface import Cuda, DeviceInfo, Function, Module

PTX = Path(__file__).with_name("ptx")
_LEAST_SM = (7, 5)


class Kernels:
    """The kernels on one device. `function` raises CudaError when the driver cannot take them.

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
                if file not in self._modules:
                    self._modules[file] = self.cuda.load(self._read(file))
                self._functions[key] = self._modules[file].function(name)
            return self._functions[key]


def why_no_kernels(device: DeviceInfo) -> str | None:
    """Return why segrt's kernels cannot run on `device`, with the remedy, or None if nothing speaks against it."""
    if not any(PTX.glob("*.ptx")):
        return (
            "this build of segrt has no CUDA kernels: install its wheel, "
            "or `pip install nvidia-cuda-nvrtc-cu12` and build it again without build isolation"
        )
    major, minor = device.sm.split(".")
    if (int(major), int(minor)) < _LEAST_SM:
        return f"segrt's CUDA kernels need compute capability 7.5, but {device.name} has {device.sm}"
    return None


def _ptx(file: str) -> bytes:
    try:
        return (PTX / f"{file}.ptx").read_bytes()
    except OSError as error:
        raise BackendError(f"{PTX / file}.ptx: cannot be read ({error.strerror}); install segrt again") from None
