"""ONNX Runtime on CUDA computes each frame on its own picture, however the picture comes and the heads leave."""

from types import SimpleNamespace

import numpy as np
import pytest
from cuda_sessions import NO_PACKAGE, assert_right, opened, picture, put_in_place
from onnx import TensorProto, helper
from simulated_gpu import FakeCuda
from simulated_provider import Simulation

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend, run_file
from segrt.runtime.inference.tensors import TensorSpec


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
