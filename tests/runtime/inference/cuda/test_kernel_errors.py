"""Kernels that the driver does not take: cuda-python's own error codes, through segrt's own calls."""

from types import SimpleNamespace
from typing import Any

import pytest

from segrt.runtime.inference.cuda import cuda_python
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import DeviceInfo
from segrt.runtime.inference.cuda.kernels import Kernels
from segrt.runtime.inference.cuda.presence import gpu_files

driver = pytest.importorskip("cuda.bindings.driver", reason="cuda-python is not installed")
runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")

# The runtime has the driver's texts, and its own numbers are the driver's for these.
KERNEL_ERRORS = {
    222: "update the driver, or install segrt's wheel",
    209: "take --decode cpu",
    218: "install segrt again",
    221: "install the driver again",
}


def words(number: int) -> bytes:
    text: bytes = runtime.cudaGetErrorString(runtime.cudaError_t(number))[1]
    return text


class RefusingApi:
    """cuda.bindings.driver with a driver that answers each call with error `number`."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __getattr__(self, name: str) -> Any:
        if name == "cuGetErrorString":
            return lambda code: (driver.CUresult.CUDA_SUCCESS, words(int(code)))
        return lambda *_: (driver.CUresult(self.number), None)


class RefusingCuda(SimpleNamespace):
    """Loads kernels as cuda-python does."""

    def load(self, ptx: bytes) -> Any:
        """See `Cuda`."""
        return cuda_python._Module(self.driver, ptx)


def refusing(number: int) -> Kernels:
    made = cuda_python.Driver()
    made.api = RefusingApi(number)
    device = DeviceInfo("Old GPU", "7.5", False, True, 4096, "11.8")
    return Kernels(RefusingCuda(driver=made, device=device), read=lambda _: b".entry f(")  # type: ignore[arg-type]


@pytest.mark.parametrize("number", KERNEL_ERRORS)
def test_a_driver_that_does_not_take_the_kernels_is_told_with_the_remedy(number: int) -> None:
    with pytest.raises(CudaError) as caught:
        refusing(number).function("argmax", "f")
    error = caught.value
    assert error.code == driver.CUresult(number).name
    assert str(error).startswith("cuModuleLoadData of argmax.ptx on Old GPU failed: ")
    assert words(number).decode().strip() in str(error)
    assert str(error).endswith(KERNEL_ERRORS[number])
    assert "\n" not in str(error)
    assert not error.is_sticky
    assert refusing(number).why_not("argmax") == str(error)


@pytest.mark.parametrize("number", [700, 719, 999])
def test_a_driver_that_has_lost_the_gpu_is_not_a_matter_of_kernels(number: int) -> None:
    with pytest.raises(CudaError) as caught:
        refusing(number).why_not("argmax")
    assert caught.value.is_sticky


@pytest.mark.skipif(bool(gpu_files()), reason="there is a GPU here")
def test_without_the_drivers_library_the_error_is_one_line() -> None:
    with pytest.raises(CudaError, match=r"^cuModuleLoadData failed: .*; install NVIDIA's driver$") as caught:
        cuda_python.Driver()("cuModuleLoadData", b"\0")
    assert "\n" not in str(caught.value)
