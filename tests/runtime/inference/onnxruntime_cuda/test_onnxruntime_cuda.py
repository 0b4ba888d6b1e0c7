"""ONNX Runtime on CUDA, with a simulated provider: no stale inputs, graphs, heads on the GPU, errors, old releases."""

import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from simulated_gpu import FakeCuda
from simulated_provider import Simulation

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.network_files import network_file, tensor_specs
from segrt.runtime.errors import BackendError, DeviceLostError
from segrt.runtime.inference import backends
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.network_file import Opening
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend, cuda_provider, run_file, session_backend
from segrt.runtime.inference.tensors import Slot, TensorSpec

ILLEGAL = "CUDA failure 700: an illegal memory access was encountered"
NO_PACKAGE = "neither cuda-python nor pycuda is installed, so the GPU cannot be used; pip install 'segrt[gpu]'"


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    return put_in_place(monkeypatch, FakeCuda())


def put_in_place(monkeypatch: pytest.MonkeyPatch, cuda: FakeCuda | None) -> Simulation:
    """Let segrt import the simulation, and see `cuda`, or no package for CUDA."""
    made = Simulation(cuda)
    monkeypatch.setitem(sys.modules, "onnxruntime", made)  # type: ignore[arg-type]
    cuda_provider.load_libraries.cache_clear()

    def open_cuda() -> FakeCuda:
        if cuda is None:
            raise BackendError(NO_PACKAGE)
        return cuda

    monkeypatch.setattr(session_backend, "open_cuda", open_cuda)
    return made


@pytest.fixture
def bundle(tiny: SimpleNamespace) -> Bundle:
    return read_bundle(tiny.bundle("merge_queries"))


def opened(bundle: Bundle, **options: Any) -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend(
        bundle.network(bundle.variant()), *tensor_specs(bundle.manifest, bundle.variant()), threads=1, **options
    )


def picture(bundle: Bundle, seed: int) -> dict[str, np.ndarray]:
    (spec,) = bundle.manifest.inputs
    return {spec.name: np.random.default_rng(seed).integers(0, 256, spec.shape, np.uint8)}


def assert_right(bundle: Bundle, backend: Backend, seed: int) -> None:
    inputs = picture(bundle, seed)
    wanted = run_file(bundle.network(bundle.variant()), inputs, threads=1)
    for name, head in backend.run(inputs).items():
        np.testing.assert_array_equal(head, wanted[name])


def settled(backend: Backend, slot: Slot) -> Slot:
    """Execute `slot`, as far as its times."""
    backend.execute(slot)
    slot.settle()
    return slot


@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("graph", [True, False])
def test_each_frame_is_computed_on_its_own_picture(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, integrated: bool, graph: bool
) -> None:
    simulation = put_in_place(monkeypatch, FakeCuda(integrated=integrated))
    simulation.cpu_nodes = not graph
    with opened(bundle) as backend:
        assert (backend.device, bool(backend.why_no_graph)) == ("cuda", not graph)
        for seed in range(4):
            assert_right(bundle, backend, seed)


def test_without_a_package_for_cuda_frames_are_right_and_a_remark_says_what_is_faster(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = put_in_place(monkeypatch, None)
    with opened(bundle) as backend:
        for seed in range(4):
            assert_right(bundle, backend, seed)
        assert backend.device == "cuda"
        assert backend.remark == f"each frame is copied from and to ordinary memory ({NO_PACKAGE})"
    assert len(simulation.on_cuda) == 1
    assert "user_compute_stream" not in (simulation.on_cuda[0].provider_options or {})


def test_two_slots_are_in_flight_in_streams_of_their_own(bundle: Bundle, simulation: Simulation) -> None:
    with opened(bundle) as backend:
        slots = [backend.acquire(), backend.acquire()]
        pictures = [picture(bundle, seed) for seed in (1, 2)]
        for slot, one in zip(slots, pictures, strict=True):
            np.copyto(slot.inputs["image"], one["image"])
            backend.submit(slot)
        for slot, one in reversed(list(zip(slots, pictures, strict=True))):
            wanted = run_file(bundle.network(bundle.variant()), one, threads=1)
            for name, head in backend.wait(slot).items():
                np.testing.assert_array_equal(head.array, wanted[name])
            assert (slot.upload_ms, slot.inference_ms, slot.download_ms, slot.decode_ms) == (1.5, 1.5, 1.5, 0.0)
            backend.release(slot)
    told = [session.provider_options or {} for session in simulation.on_cuda]
    assert len({options["user_compute_stream"] for options in told}) == 2


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


def test_a_graph_stays_in_the_thread_that_recorded_it(bundle: Bundle, simulation: Simulation) -> None:
    with opened(bundle) as backend:
        slot = backend.acquire()
        backend.submit(slot)
        backend.wait(slot)
        backend.release(slot)
        caller = threading.Thread(target=assert_right, args=(bundle, backend, 3))
        caller.start()
        caller.join()
        assert_right(bundle, backend, 4)
    assert [len(session.graphs) for session in simulation.on_cuda] == [1, 1]
    assert threading.get_ident() not in {thread for session in simulation.on_cuda for thread in session.graphs}


def test_a_frame_is_uploaded_computed_and_downloaded_and_nothing_is_copied_where_memory_is_shared(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for integrated, wanted in ((False, ["upload", "compute", "download", "download"]), (True, ["compute"])):
        cuda = FakeCuda(integrated=integrated)
        put_in_place(monkeypatch, cuda)
        with opened(bundle, slots=1) as backend:
            cuda.log.clear()
            backend.run(picture(bundle, 0))
            assert cuda.log == wanted
        assert cuda.alive == 0


def test_a_graph_that_is_refused_or_fails_is_told_and_done_without(bundle: Bundle, simulation: Simulation) -> None:
    simulation.cpu_nodes = True
    with opened(bundle, slots=1) as backend:
        assert "cannot use the graph capture feature" in backend.why_no_graph
        assert_right(bundle, backend, 1)
    assert simulation.on_cuda[-1].runs[-1] == {}, "nodes on the CPU: ONNX Runtime must wait at the end"
    simulation.cpu_nodes = False
    simulation.fail["capture"] = "operation not permitted when stream is capturing"
    with opened(bundle, slots=1) as backend:
        assert "operation not permitted when stream is capturing" in backend.why_no_graph
        assert_right(bundle, backend, 2)
        assert "\n" not in backend.why_no_graph


def test_channels_last_gives_way_to_a_graph_that_it_hinders(bundle: Bundle, simulation: Simulation) -> None:
    def told() -> tuple[str, str]:
        with opened(bundle, slots=1, precision="tf32") as backend:
            assert_right(bundle, backend, 1)
            assert bool(backend.why_no_graph) == simulation.cpu_nodes
        options = simulation.on_cuda[-1].provider_options or {}
        return options["prefer_nhwc"], options.get("enable_cuda_graph", "0")

    assert told() == ("1", "1")
    simulation.layout_adds_cpu_nodes = True
    assert told() == ("0", "1")
    simulation.cpu_nodes = True
    assert told() == ("1", "0"), "no graph either way"


def test_heads_that_vary_are_downloaded_by_onnxruntime_and_hinder_a_graph(
    tiny: SimpleNamespace, simulation: Simulation
) -> None:
    model = tiny.build(
        [helper.make_node("NonZero", ["x"], ["found"]), helper.make_node("Neg", ["x"], ["negative"])],
        [helper.make_tensor_value_info("x", TensorProto.INT64, [5])],
        [
            helper.make_tensor_value_info("found", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("negative", TensorProto.INT64, [5]),
        ],
        {},
    )
    heads = [TensorSpec("found", "int64", (1, "n")), TensorSpec("negative", "int64", (5,))]
    inputs = [TensorSpec("x", "int64", (5,))]
    with OnnxRuntimeBackend(tiny.save(model), inputs, heads, threads=1, heads_on="cuda") as backend:
        assert backend.head_device == "cpu"
        assert backend.why_no_graph == "head 'found' has a length that varies"
        for values in ([0, 7, 0, 0, 1], [1, 1, 1, 0, 0], [0] * 5):
            got = backend.run({"x": np.array(values)})
            assert got["negative"].tolist() == [-value for value in values]
            assert got["found"].tolist() == [np.flatnonzero(values).tolist()]
    assert simulation.on_cuda[0].runs[-1] == {}


def test_heads_stay_on_the_gpu_and_are_there_after_one_wait(bundle: Bundle, simulation: Simulation) -> None:
    cuda = simulation.cuda
    assert cuda is not None
    with opened(bundle, heads_on="cuda") as backend:
        assert backend.head_device == "cuda"
        for seed in range(3):
            inputs = picture(bundle, seed)
            wanted = run_file(bundle.network(bundle.variant()), inputs, threads=1)
            slot = backend.acquire()
            np.copyto(slot.inputs["image"], inputs["image"])
            cuda.log.clear()
            heads = backend.execute(slot)
            assert cuda.log == [], "nothing has been waited for yet"
            head = heads["masks"]
            assert isinstance(head.array, DeviceArray)
            assert (head.device, head.array.shape) == ("cuda", wanted["masks"].shape)
            assert slot.gpu is head.array.queue
            place = np.empty(wanted["masks"].shape[1:], np.float32)
            cuda.download(place, head.array[0].address, head.array.queue.stream)  # what a decoder puts behind
            slot.settle()
            assert cuda.log == ["upload", "compute", "download"]
            np.testing.assert_array_equal(place, wanted["masks"][0])
            assert (slot.inference_ms, slot.download_ms, slot.decode_ms) == (1.5, 0.0, 1.5)
            backend.release(slot)
            assert_right(bundle, backend, seed + 10)
        with pytest.raises(IndexError, match="index 1 of an array of shape"):
            head.array[1]


def test_inputs_that_were_filled_on_the_gpu_are_not_uploaded_over(bundle: Bundle, simulation: Simulation) -> None:
    cuda = simulation.cuda
    assert cuda is not None
    inputs = picture(bundle, 8)
    with opened(bundle) as backend:
        slot = backend.acquire()
        assert slot.gpu is not None
        cuda.upload(slot.gpu.inputs["image"].address, inputs["image"], slot.gpu.stream)
        slot.gpu.uploads = False
        heads = {name: head.on_host() for name, head in backend.execute(slot).items()}
        backend.release(slot)
        assert slot.gpu.uploads
        wanted = run_file(bundle.network(bundle.variant()), inputs, threads=1)
        np.testing.assert_array_equal(heads["masks"], wanted["masks"])
        assert_right(bundle, backend, 9)


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


def test_batches_are_bound_at_their_size(tiny: SimpleNamespace, simulation: Simulation) -> None:
    model = tiny.build(
        [helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT), helper.make_node("Neg", ["float"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        {},
    )
    specs = [TensorSpec("x", "uint8", (3, 4))], [TensorSpec("y", "float32", (3, 4))]
    with OnnxRuntimeBackend(tiny.save(model), *specs, threads=1, heads_on="cuda") as backend:
        values = np.arange(12, dtype=np.uint8).reshape(3, 4)
        slot = backend.acquire()
        np.copyto(slot.inputs["x"], values)
        head = backend.execute(slot)["y"]
        np.testing.assert_array_equal(head.array[2].download(), -values[2].astype(np.float32))
        backend.release(slot)
        np.testing.assert_array_equal(backend.run({"x": values + 1})["y"], -(values + 1).astype(np.float32))
    assert simulation.on_cuda


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
