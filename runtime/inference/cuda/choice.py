"""Opens CUDA with what is installed: cuda-python, which has graphs, before pycuda."""

from importlib.util import find_spec

from segrt.runtime.errors import BackendError, one_line
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import Cuda


def installed_packages() -> tuple[str, ...]:
    """Return which of the two packages are installed, in the order in which they are tried."""
    packages = []
    if _has("cuda.bindings.runtime") or _has("cuda.cudart"):
        packages.append("cuda-python")
    if _has("pycuda.driver"):
        packages.append("pycuda")
    return tuple(packages)


def open_cuda(package: str | None = None) -> Cuda:
    """Open device 0 (CUDA_VISIBLE_DEVICES says which that is) through `package`, or through the first that works.

    Raises BackendError with the remedy when none is installed, CudaError with CUDA's own text when none works.
    """
    packages = installed_packages() if package is None else (package,)
    if not packages:
        raise BackendError(
            "neither cuda-python nor pycuda is installed, so the GPU cannot be used; pip install 'segrt[gpu]'"
        )
    failures: list[CudaError] = []
    for name in packages:
        opened = _open(name, failures)
        if opened is not None:
            return opened
    raise failures[0]


def _open(package: str, failures: list[CudaError]) -> Cuda | None:
    """Open one package; note why it failed."""
    try:
        if package == "cuda-python":
            from segrt.runtime.inference.cuda.cuda_python import CudaPython

            return CudaPython()
        from segrt.runtime.inference.cuda.pycuda_driver import PyCuda

        return PyCuda()
    except CudaError as error:
        failures.append(error)
    except ImportError as error:
        remedy = f"install it again: pip install {package}"
        failures.append(CudaError(package, "", f"cannot be imported: {error}", remedy))
    except RuntimeError as error:  # cuda-bindings, when it finds no libcuda at all
        failures.append(CudaError(package, "", one_line(error)))
    return None


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
