"""Where the GPU is not taken, what is refused when a bundle is opened, and a GPU that is lost."""

import pytest
from cuda_sessions import assert_right, opened, picture, put_in_place
from simulated_gpu import FakeCuda
from simulated_provider import Simulation

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.network_files import network_file
from segrt.runtime.errors import BackendError, DeviceLostError
from segrt.runtime.inference import backends
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.network_file import Opening
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend, cuda_provider, run_file
from segrt.runtime.inference.tensors import Slot, TensorSpec

ILLEGAL = "CUDA failure 700: an illegal memory access was encountered"


def settled(backend: Backend, slot: Slot) -> Slot:
    """Execute `slot`, as far as its times."""
    backend.execute(slot)
    slot.settle()
    return slot


def test_a_provider_that_does_not_load_leaves_the_cpu(
    bundle: Bundle, simulation: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    simulation.loads = False
    with opened(bundle) as backend:
        assert (backend.device, backend.remark) == (
            "cpu", "ONNX Runtime does not use the GPU here, `segrt doctor` says why",
        )  # fmt: skip
        assert_right(bundle, backend, 1)
    simulation.loads = True
    simulation.fail["open"] = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version"
    with opened(bundle) as backend:
        assert backend.device == "cpu"
        assert "CUDA driver version is insufficient" in backend.remark
    assert simulation.cuda is not None
    assert simulation.cuda.alive == 0
    assert capsys.readouterr().out == ""


def test_too_little_memory_is_one_line_with_the_remedy(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(memory=20_000)
    put_in_place(monkeypatch, cuda)
    with pytest.raises(BackendError, match=r"too little memory for 4 executions .*cudaMalloc failed: out of") as caught:
        opened(bundle, slots=4)
    assert (caught.value.exit_code, cuda.alive) == (2, 0)
    simulation = put_in_place(monkeypatch, FakeCuda())
    simulation.fail["run"] = "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer"
    with pytest.raises(BackendError, match="too little memory for 2 executions") as caught:
        opened(bundle)
    assert caught.value.exit_code == 2


def test_a_lost_device_ends_the_process_with_its_own_code(bundle: Bundle, simulation: Simulation) -> None:
    cuda = simulation.cuda
    assert cuda is not None
    with opened(bundle) as backend:
        simulation.fail["run"] = ILLEGAL
        with pytest.raises(DeviceLostError, match=r"onnxruntime on cuda: the GPU is lost .*illegal memory") as caught:
            backend.run(picture(bundle, 0))
        assert caught.value.exit_code == 4
        assert "\n" not in str(caught.value)
        del simulation.fail["run"]
    for heads_on in ("cpu", "cuda"):
        with opened(bundle, heads_on=heads_on) as backend:
            slot = backend.acquire()
            cuda.fail["cudaEventSynchronize"] = CudaError("cudaEventSynchronize", "cudaErrorIllegalAddress", "x")
            with pytest.raises(DeviceLostError, match="cudaErrorIllegalAddress"):
                settled(backend, slot)
            backend.release(slot)
            cuda.fail.clear()
    simulation.fail["run"] = ILLEGAL
    with pytest.raises(DeviceLostError, match="illegal memory access"):
        opened(bundle)


def test_a_network_of_another_shape_is_refused_and_everything_freed(bundle: Bundle, simulation: Simulation) -> None:
    path = bundle.network(bundle.variant())
    with pytest.raises(Exception, match="input must be 'image' uint8"):
        OnnxRuntimeBackend(path, [TensorSpec("image", "uint8", (1, 8, 8, 3))], [], threads=1)
    assert simulation.cuda is not None
    assert simulation.cuda.alive == 0


def test_pips_libraries_are_loaded_once_and_in_silence(
    bundle: Bundle, simulation: Simulation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cuda_provider, "find_spec", lambda name: name == "nvidia")
    opened(bundle, slots=1).close()
    opened(bundle, slots=1).close()
    assert simulation.preloads == 1
    assert simulation.severity == 4, "what ONNX Runtime tries is no warning"
    assert capsys.readouterr().out == ""


def test_what_others_are_compared_with_never_takes_the_gpu(bundle: Bundle, simulation: Simulation) -> None:
    run_file(bundle.network(bundle.variant()), picture(bundle, 0), threads=1)
    with opened(bundle, only_cpu=True) as backend:
        assert (backend.device, backend.remark) == ("cpu", "")
    network = network_file(bundle, bundle.variant())
    with backends.open_backend(network, backend="onnxruntime", opening=Opening(device="cpu")) as backend:
        assert backend.device == "cpu"
    assert simulation.on_cuda == []
