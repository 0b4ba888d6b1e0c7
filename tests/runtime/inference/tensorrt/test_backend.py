"""The TensorRT backend on a simulated GPU: binding, copying, order, graphs, errors, freeing. See `simulated_gpu`."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated_gpu import FakeCuda, fake_flavor, rtx_on_fake_gpu

from segrt.runtime import open_bundle
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.network_files import network_file, tensor_specs
from segrt.runtime.errors import BackendError, BundleError, DeviceLostError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.engine_policy import BuildOptions
from segrt.runtime.inference.network_file import Opening
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend
from segrt.runtime.inference.tensorrt import engine_backend as module
from segrt.runtime.inference.tensorrt import engine_kind
from segrt.runtime.inference.tensorrt.engine_backend import TensorRtBackend
from segrt.runtime.inference.tensorrt.engine_cache import Engine, record_path, runtime_cache_path
from segrt.runtime.inference.tensorrt.engine_record import EngineRecord, read
from segrt.runtime.inference.tensorrt.flavor import find_flavor

SHA = "a" * 64
ILLEGAL = CudaError("cudaEventSynchronize", "cudaErrorIllegalAddress", "an illegal memory access was encountered")


@pytest.fixture
def bundle(tiny) -> Bundle:
    return read_bundle(tiny.bundle("merge_queries"))


def engine(plan: bytes = b"plan") -> Engine:
    record = EngineRecord(
        bundle="b", precision="fp32", onnx_sha256=SHA, options=BuildOptions(), flavor="tensorrt", version="10.3.0",
        plan_bytes=4, plan_sha256=SHA,
    )  # fmt: skip
    return Engine(Path("b.fp32.tensorrt.engine"), plan, record)


def open_on(cuda: FakeCuda, bundle: Bundle, **options) -> TensorRtBackend:
    path = bundle.network(bundle.variant())
    inputs, heads = tensor_specs(bundle.manifest, bundle.variant())
    return TensorRtBackend(engine(), fake_flavor(path, cuda), cuda, inputs, heads, **options)


def picture(bundle: Bundle, seed: int) -> dict[str, np.ndarray]:
    (spec,) = bundle.manifest.inputs
    return {spec.name: np.random.default_rng(seed).integers(0, 256, spec.shape, np.uint8)}


def expected(bundle: Bundle, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with OnnxRuntimeBackend(
        bundle.network(bundle.variant()), *tensor_specs(bundle.manifest, bundle.variant()), threads=1
    ) as reference:
        return reference.run(inputs)


@pytest.mark.parametrize("integrated", [False, True])
def test_heads_are_those_of_the_network(bundle: Bundle, integrated: bool) -> None:
    cuda = FakeCuda(integrated=integrated)
    with open_on(cuda, bundle) as backend:
        for seed in range(4):
            inputs = picture(bundle, seed)
            for name, head in backend.run(inputs).items():
                np.testing.assert_array_equal(head, expected(bundle, inputs)[name])


def test_two_slots_are_in_flight_and_do_not_mix(bundle: Bundle) -> None:
    with open_on(FakeCuda(), bundle) as backend:
        slots = [backend.acquire(), backend.acquire()]
        inputs = [picture(bundle, seed) for seed in (1, 2)]
        for slot, one in zip(slots, inputs, strict=True):
            np.copyto(slot.inputs["image"], one["image"])
            backend.submit(slot)
        for slot, one in reversed(list(zip(slots, inputs, strict=True))):
            for name, head in backend.wait(slot).items():
                np.testing.assert_array_equal(head.array, expected(bundle, one)[name])
            assert (slot.upload_ms, slot.inference_ms, slot.download_ms) == (1.5, 1.5, 1.5)
            backend.release(slot)


def test_a_frame_is_uploaded_computed_as_a_graph_and_downloaded(bundle: Bundle) -> None:
    cuda = FakeCuda()
    with open_on(cuda, bundle) as backend:
        assert backend.why_no_graph == ""
        cuda.log.clear()
        backend.run(picture(bundle, 0))
        assert cuda.log == ["upload", "graph", "compute", "download", "download"]


def test_memory_that_host_and_gpu_share_is_not_copied(bundle: Bundle) -> None:
    cuda = FakeCuda(integrated=True)
    with open_on(cuda, bundle) as backend:
        cuda.log.clear()
        backend.run(picture(bundle, 0))
        assert cuda.log == ["graph", "compute"]
        assert cuda.left == 1 << 30, "nothing is allocated on the GPU's side"


def test_what_cannot_be_recorded_runs_without_a_graph_and_says_why(bundle: Bundle) -> None:
    cuda = FakeCuda()
    cuda.fail["capture"] = CudaError("cudaStreamEndCapture", "cudaErrorStreamCaptureUnsupported", "not permitted")
    with open_on(cuda, bundle) as backend:
        assert "cudaStreamEndCapture failed: not permitted" in backend.why_no_graph
        cuda.log.clear()
        inputs = picture(bundle, 5)
        heads = backend.run(inputs)
        assert cuda.log == ["upload", "compute", "download", "download"]
    np.testing.assert_array_equal(heads["masks"], expected(bundle, inputs)["masks"])


def test_everything_is_freed_at_the_end_and_when_opening_fails(bundle: Bundle) -> None:
    cuda = FakeCuda()
    open_on(cuda, bundle, slots=3).close()
    assert cuda.alive == 0
    assert cuda.log[-1] == "close"
    small = FakeCuda(memory=20_000)
    with pytest.raises(BackendError, match=r"too little memory for 4 executions .*cudaMalloc failed: out of memory"):
        open_on(small, bundle, slots=4)
    assert small.alive == 0


def test_a_lost_device_ends_the_process_with_its_own_code(bundle: Bundle) -> None:
    cuda = FakeCuda()
    backend = open_on(cuda, bundle)
    slot = backend.acquire()
    backend.submit(slot)
    cuda.fail["cudaEventSynchronize"] = ILLEGAL
    with pytest.raises(DeviceLostError, match="illegal memory access") as caught:
        backend.wait(slot)
    assert caught.value.exit_code == 4
    backend.close()


def test_a_device_that_is_lost_while_opening_ends_the_process_too(bundle: Bundle) -> None:
    cuda = FakeCuda()
    cuda.fail["cudaEventSynchronize"] = ILLEGAL
    with pytest.raises(DeviceLostError, match="illegal memory access"):
        open_on(cuda, bundle)
    assert cuda.alive == 0


def test_memory_running_out_in_mid_stream_ends_the_process_too(bundle: Bundle) -> None:
    cuda = FakeCuda()
    cuda.fail["capture"] = CudaError("cudaStreamEndCapture", "", "not permitted")
    with open_on(cuda, bundle) as backend:
        cuda.fail["execute"] = CudaError("cudaMalloc", "cudaErrorMemoryAllocation", "out of memory")
        with pytest.raises(DeviceLostError, match="ran out of memory while running"):
            backend.run(picture(bundle, 0))


def test_an_ordinary_failure_is_an_ordinary_error(bundle: Bundle) -> None:
    cuda = FakeCuda()
    cuda.fail["capture"] = CudaError("cudaStreamEndCapture", "", "not permitted")
    with open_on(cuda, bundle) as backend:
        cuda.fail["execute"] = CudaError("x", "", "some plugin is unhappy")
        with pytest.raises(BackendError, match=r"cannot execute the network: .*some plugin is unhappy") as caught:
            backend.run(picture(bundle, 0))
        assert caught.value.exit_code == 2


def test_a_plan_that_does_not_load_is_named_with_tensorrts_reason(bundle: Bundle) -> None:
    cuda = FakeCuda()
    flavor = fake_flavor(bundle.network(bundle.variant()), cuda)
    inputs, heads = tensor_specs(bundle.manifest, bundle.variant())
    with pytest.raises(BackendError, match=r"b\.fp32\.tensorrt\.engine: .*Serialization \(magic tag\)"):
        TensorRtBackend(engine(b"bad"), flavor, cuda, inputs, heads)
    assert cuda.alive == 0


def test_an_engine_of_another_network_is_refused(bundle: Bundle, tiny) -> None:
    cuda = FakeCuda()
    other = tiny.save(tiny.semantic_model(), "other.onnx")
    inputs, heads = tensor_specs(bundle.manifest, bundle.variant())
    with pytest.raises(BundleError, match="has no head 'classes'"):
        TensorRtBackend(engine(), fake_flavor(other, cuda), cuda, inputs, heads)


def test_layers_are_timed_without_the_first_run(bundle: Bundle) -> None:
    cuda = FakeCuda()
    with open_on(cuda, bundle) as backend:
        alive = cuda.alive
        layers = backend.layer_times(picture(bundle, 0), runs=3)
        assert [(layer.name, layer.mean_ms) for layer in layers] == [("first", 0.25), ("second", 0.25)]
        assert cuda.alive == alive


def test_heads_of_varying_length_are_left_to_others(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    def why_not(of: Bundle) -> str | None:
        return TensorRtBackend.why_not(network_file(of, of.variant()), Opening())

    monkeypatch.setattr(module, "find_flavor", lambda name: name)
    monkeypatch.setattr(module, "installed_packages", lambda: ("cuda-python",))
    assert why_not(bundle) is None
    heads = (msgspec.structs.replace(bundle.manifest.heads[0], shape=(1, "n", 4)), *bundle.manifest.heads[1:])
    varying = Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, heads=heads))
    assert "has a length that varies" in str(why_not(varying))


def test_a_bundle_is_built_opened_and_streamed_through_the_whole_backend(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tiny, own_cache: Path
) -> None:
    pytest.importorskip("tensorrt_rtx")
    cuda = FakeCuda()
    cuda.device = replace(cuda.device, name="Fake RTX", sm="8.9")
    flavor = rtx_on_fake_gpu(find_flavor("tensorrt-rtx"), bundle.network(bundle.variant()), cuda)
    monkeypatch.setattr(engine_kind, "why_no_gpu", lambda: None)
    monkeypatch.setattr(module, "open_cuda", lambda: cuda)
    monkeypatch.setattr(module, "find_flavor", lambda _: flavor)
    caplog.set_level(logging.INFO)

    with open_bundle(bundle.folder, backend="tensorrt") as segmenter:
        result = segmenter(tiny.thirds(24, 48))
        assert segmenter.backend.reason == "tensorrt on Fake RTX, as asked"
    with open_bundle(bundle.folder, backend="onnxruntime") as segmenter:
        np.testing.assert_array_equal(result.segment_ids, segmenter(tiny.thirds(24, 48)).segment_ids)
    assert "there is none yet" in caplog.messages[0]
    (engine_path,) = own_cache.glob("engines/*/*.engine")
    record = read(record_path(engine_path))
    assert not isinstance(record, str)
    assert (record.gpu, record.sm, record.layers_from) == ("Fake RTX", "8.9", "engine")
    assert record.precisions == {"float16": 1}
    assert runtime_cache_path(engine_path).read_bytes() == b"compiled kernels"
    assert cuda.alive == 0

    caplog.clear()
    with open_bundle(bundle.folder) as segmenter:
        assert segmenter.backend.reason == "tensorrt on Fake RTX, the first choice"
    assert not [message for message in caplog.messages if "building" in message]
    assert cuda.alive == 0
