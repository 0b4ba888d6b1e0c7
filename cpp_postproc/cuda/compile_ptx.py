"""Compiles the CUDA kernels to PTX with NVRTC: no GPU and no CUDA toolkit is needed, its Python package will do.

PTX is compiled for compute capability 7.5 and translated by the driver for every newer GPU. A driver reads PTX of its
own CUDA release and of older ones: what ships is made with NVRTC 12.6 or older, which JetPack 6 reads.
"""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ARCHITECTURE = "compute_75"
# The arithmetic of the CPU's kernels: nothing is fused but what the source fuses, division and denormals are IEEE's.
OPTIONS = ("--std=c++17", "--fmad=false", "--prec-div=true", "--ftz=false", f"-I{FOLDER}", f"-I{FOLDER.parent}")
_PACKAGES = ("nvidia.cuda_nvrtc", "nvidia.cu13", "nvidia.cu12")


class CompileError(Exception):
    """NVRTC cannot be had or refuses a kernel; the message says why."""


class Nvrtc:
    """One NVRTC library; `version` is (major, minor)."""

    def __init__(self, library: Path) -> None:
        for builtins in library.parent.glob("libnvrtc-builtins.so*"):  # which it looks for by name alone
            ctypes.CDLL(str(builtins))
        self._api = ctypes.CDLL(str(library))
        self._api.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = (major.value, minor.value)

    def ptx(self, source: Path, architecture: str = ARCHITECTURE) -> bytes:
        """Return the PTX of one file of kernels; raise CompileError with the compiler's own words."""
        program = ctypes.c_void_p()
        text = source.read_bytes()
        self._call("nvrtcCreateProgram", ctypes.byref(program), text, source.name.encode(), 0, None, None)
        try:
            options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={architecture}")]
            code = self._api.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
            if code != 0:
                raise CompileError(f"{source}: {self._text(program, 'nvrtcGetProgramLog').decode(errors='replace')}")
            return self._text(program, "nvrtcGetPTX" if architecture.startswith("compute_") else "nvrtcGetCUBIN")
        finally:
            self._api.nvrtcDestroyProgram(ctypes.byref(program))

    def _text(self, program: ctypes.c_void_p, name: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"{name}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(name, program, text)
        return text.raw.rstrip(b"\0") if name != "nvrtcGetCUBIN" else text.raw

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self._api, name)(*arguments)
        if code != 0:
            raise CompileError(f"{name}: {self._api.nvrtcGetErrorString(code).decode()}")


def find_nvrtc(*, newest: bool = False) -> Nvrtc:
    """Return the oldest or newest NVRTC of the installed packages and the system; raise CompileError without one."""
    found = []
    for library in _libraries():
        try:
            found.append(Nvrtc(library))
        except OSError:  # noqa: PERF203 (for another system)
            continue
    if not found:
        raise CompileError("NVRTC is not installed: pip install nvidia-cuda-nvrtc-cu12")
    found.sort(key=lambda nvrtc: nvrtc.version)
    return found[-1 if newest else 0]


def sources() -> list[Path]:
    """Return the files of kernels; each becomes a PTX file of its name."""
    return sorted(FOLDER.glob("*.cu"))


def compile_all(out: Path) -> tuple[int, int]:
    """Write a PTX file for each file of kernels into `out`, all or none; return NVRTC's version.

    What an earlier build left there is deleted: kernels and the Python code that launches them belong together.
    """
    for old in out.glob("*.ptx"):
        old.unlink()
    nvrtc = find_nvrtc()
    compiled = {f"{source.stem}.ptx": nvrtc.ptx(source) for source in sources()}
    out.mkdir(parents=True, exist_ok=True)
    for name, ptx in compiled.items():
        (out / name).write_bytes(ptx)
    return nvrtc.version


def _libraries() -> list[Path]:
    folders = [
        Path(folder) / "lib"
        for package in _PACKAGES
        if (spec := _spec(package)) is not None
        for folder in spec.submodule_search_locations or ()
    ]
    folders += [Path("/usr/local/cuda/lib64"), Path("/usr/local/cuda/targets/aarch64-linux/lib")]
    return [path for folder in folders for path in sorted(folder.glob("libnvrtc.so.1[0-9]"))]


def _spec(package: str):  # type: ignore[no-untyped-def]
    try:
        return find_spec(package)
    except ImportError:
        return None


if __name__ == "__main__":
    try:
        major, minor = compile_all(Path(sys.argv[1]))
        print(f"NVRTC {major}.{minor}")
    except CompileError as error:
        sys.exit(str(error))
