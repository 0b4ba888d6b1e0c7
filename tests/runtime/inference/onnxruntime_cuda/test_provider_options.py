"""What ONNX Runtime's CUDA provider is told: TF32 and layout by precision, and less where a release knows less."""

from dataclasses import replace

import pytest
from cuda_sessions import assert_right, opened, put_in_place
from simulated_gpu import FakeCuda
from simulated_provider import Simulation

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.errors import BackendError


def test_fp32_is_computed_without_tf32_and_its_graph_waits_for_nothing(bundle: Bundle, simulation: Simulation) -> None:
    with opened(bundle, slots=1) as backend:
        assert backend.why_no_graph == ""
        assert_right(bundle, backend, 1)
    (session,) = simulation.on_cuda
    told = dict(session.provider_options or {})
    told.pop("user_compute_stream")
    assert told == {
        "device_id": "0",
        "use_tf32": "0",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "prefer_nhwc": "0",
        "enable_cuda_graph": "1",
    }
    assert {entry.get("disable_synchronize_execution_providers") for entry in session.runs} == {"1"}


@pytest.mark.parametrize(("precision", "tf32", "nhwc"), [("tf32", "1", "1"), ("fp16", "0", "1"), ("int8", "0", "0")])
def test_tf32_is_allowed_for_tf32_alone(
    bundle: Bundle, simulation: Simulation, precision: str, tf32: str, nhwc: str
) -> None:
    with opened(bundle, slots=1, precision=precision):
        told = simulation.on_cuda[0].provider_options or {}
        assert (told["use_tf32"], told["prefer_nhwc"]) == (tf32, nhwc)


@pytest.mark.parametrize("option", ["use_tf32", "prefer_nhwc", "enable_cuda_graph", "user_compute_stream"])
def test_an_option_that_a_release_lacks_is_done_without_and_told(
    bundle: Bundle, simulation: Simulation, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    simulation.known.discard(option)
    with opened(bundle, slots=1) as backend:
        assert backend.device == "cuda"
        for seed in range(3):
            assert_right(bundle, backend, seed)
        assert option in backend.remark + backend.why_no_graph
        if option == "use_tf32":
            assert "fp32 is computed in TF32 on GPUs since Ampere" in backend.remark
    assert capsys.readouterr().out == ""


def test_tf32_is_refused_where_there_is_none(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="precision tf32 needs an NVIDIA GPU, and this is the CPU; take"):
        opened(bundle, precision="tf32")
    cuda = FakeCuda()
    cuda.device = replace(cuda.device, sm="7.5")
    put_in_place(monkeypatch, cuda)
    with pytest.raises(BackendError, match=r"compute capability 8\.0 or newer, and this one has 7\.5; take fp32"):
        opened(bundle, precision="tf32")
    put_in_place(monkeypatch, None)
    with pytest.raises(BackendError, match="without cuda-python this one's is not known; pip install"):
        opened(bundle, precision="tf32")
