"""CUDA's errors: cuda-python's real ones without a driver, pycuda's by their texts."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.runtime.errors import BackendError, DeviceLostError
from segrt.runtime.inference.cuda import choice, pycuda_driver
from segrt.runtime.inference.cuda.cuda_errors import CudaError, lost
from segrt.runtime.inference.cuda.presence import gpu_files

cuda_runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
without_gpu = pytest.mark.skipif(bool(gpu_files()), reason="there is a GPU here")


@without_gpu
def test_without_a_driver_the_error_has_the_call_and_cudas_own_text() -> None:
    with pytest.raises(CudaError) as caught:
        choice.open_cuda("cuda-python")
    error = caught.value
    assert error.call == "cudaGetDeviceCount"
    assert error.code in ("cudaErrorInsufficientDriver", "cudaErrorNoDevice")
    assert error.text == cuda_runtime.cudaGetErrorString(getattr(cuda_runtime.cudaError_t, error.code))[1].decode()
    assert str(error) == f"cudaGetDeviceCount failed: {error.text} ({error.code})"
    assert error.exit_code == 2
    assert not error.is_sticky


@without_gpu
def test_every_failing_call_raises() -> None:
    from segrt.runtime.inference.cuda.cuda_python import Runtime

    runtime = Runtime()
    for name, args in (
        ("cudaMalloc", (16,)),
        ("cudaHostAlloc", (16, cuda_runtime.cudaHostAllocMapped)),
        ("cudaStreamCreateWithFlags", (cuda_runtime.cudaStreamNonBlocking,)),
        ("cudaEventCreateWithFlags", (cuda_runtime.cudaEventBlockingSync,)),
        ("cudaMemGetInfo", ()),
    ):
        with pytest.raises(CudaError, match=f"^{name} failed: CUDA driver version is insufficient"):
            runtime(name, *args)


@pytest.mark.parametrize(
    "name",
    ["cudaErrorIllegalAddress", "cudaErrorLaunchFailure", "cudaErrorMisalignedAddress", "cudaErrorECCUncorrectable",
     "cudaErrorIllegalInstruction", "cudaErrorHardwareStackError", "cudaErrorAssert", "cudaErrorLaunchTimeout"],
)  # fmt: skip
def test_what_loses_the_device_is_known_by_name_and_by_cudas_text(name: str) -> None:
    code = getattr(cuda_runtime.cudaError_t, name)
    text = cuda_runtime.cudaGetErrorString(code)[1].decode()
    assert CudaError("cudaStreamSynchronize", name, "").is_sticky
    assert CudaError("cudaStreamSynchronize", "", text).is_sticky
    error = lost("tensorrt", f"cudaStreamSynchronize failed: {text}")
    assert isinstance(error, DeviceLostError)
    assert error.exit_code == 4


def test_memory_that_runs_out_while_running_ends_the_process_too() -> None:
    text = cuda_runtime.cudaGetErrorString(cuda_runtime.cudaError_t.cudaErrorMemoryAllocation)[1].decode()
    assert CudaError("cudaMalloc", "", text).is_out_of_memory
    error = lost("tensorrt", text)
    assert error is not None
    assert "ran out of memory" in str(error)
    assert lost("tensorrt", "invalid argument") is None


def test_pycudas_messages_are_taken_apart() -> None:
    driver = SimpleNamespace(Error=type("Error", (Exception,), {}))
    with pytest.raises(CudaError) as caught, pycuda_driver.translated(driver):
        raise driver.Error("cuMemAlloc failed: out of memory")
    assert (caught.value.call, caught.value.text) == ("cuMemAlloc", "out of memory")
    assert caught.value.is_out_of_memory


def test_without_any_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    with pytest.raises(BackendError, match=r"pip install 'segrt\[gpu\]'"):
        choice.open_cuda()


def test_a_driver_too_old_for_the_package_is_named_with_the_version_to_install() -> None:
    from segrt.runtime.inference.cuda.cuda_python import Runtime

    runtime = Runtime()
    runtime.api = SimpleNamespace(
        cudaGetDeviceCount=lambda: (cuda_runtime.cudaError_t.cudaErrorInsufficientDriver, None),
        cudaDriverGetVersion=lambda: (cuda_runtime.cudaError_t.cudaSuccess, 12060),
        cudaRuntimeGetVersion=lambda: (cuda_runtime.cudaError_t.cudaSuccess, 13000),
        cudaGetErrorString=cuda_runtime.cudaGetErrorString,
    )
    with pytest.raises(CudaError, match=r"for CUDA 13\.0, the driver for 12\.6: pip install 'cuda-python>=12,<13'"):
        runtime("cudaGetDeviceCount")


def test_every_name_of_cuda_python_that_is_used_is_there() -> None:
    source = Path(inspect.getfile(choice)).with_name("cuda_python.py").read_text()
    places = [
        cuda_runtime,
        cuda_runtime.cudaDeviceAttr,
        cuda_runtime.cudaMemcpyKind,
        cuda_runtime.cudaStreamCaptureMode,
    ]
    names = set(re.findall(r"\bcuda[A-Z]\w+", source)) - {"cudaErrorInsufficientDriver"}
    assert len(names) > 30
    assert {name for name in names if not any(hasattr(place, name) for place in places)} == set()


def test_others_may_allocate_while_a_graph_is_recorded() -> None:
    from segrt.runtime.inference.cuda.cuda_python import CudaPython, Runtime

    modes = []

    def begin(handle: int, mode: object) -> tuple[object]:
        modes.append((handle, mode))
        return (cuda_runtime.cudaError_t.cudaSuccess,)

    made = CudaPython.__new__(CudaPython)
    made._call = Runtime()
    done = (cuda_runtime.cudaError_t.cudaSuccess,)
    made._call.api = SimpleNamespace(
        cudaStreamCaptureMode=cuda_runtime.cudaStreamCaptureMode,
        cudaStreamBeginCapture=begin,
        cudaStreamEndCapture=lambda _: (*done, "graph"),
        cudaGraphInstantiate=lambda *_: (*done, "executable"),
        cudaGraphDestroy=lambda _: done,
    )
    made.capture(SimpleNamespace(handle=5), lambda: None)  # type: ignore[arg-type]
    assert modes == [(5, cuda_runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)]
