"""Heads that stay on the GPU, through both GPU backends, two networks at once, and a segmenter that decodes there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_sessions import opened, picture, put_in_place
from simulated_gpu import FakeCuda, fake_flavor

from segrt.runtime.authoring.two_pictures import check_two_pictures
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.network_files import tensor_specs
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.engine_policy import BuildOptions
from segrt.runtime.inference.member_backends import MembersBackend
from segrt.runtime.inference.onnxruntime import run_file
from segrt.runtime.inference.tensorrt.engine_backend import TensorRtBackend
from segrt.runtime.inference.tensorrt.engine_cache import Engine
from segrt.runtime.inference.tensorrt.engine_record import EngineRecord
from segrt.runtime.profiling.sampling import sample
from segrt.runtime.segmenter import Segmenter, frame_steps
from segrt.runtime.stream import stream

SHA = "a" * 64


def on_tensorrt(bundle: Bundle, cuda: FakeCuda, **options: Any) -> TensorRtBackend:
    record = EngineRecord(
        bundle="b", precision="fp32", onnx_sha256=SHA, options=BuildOptions(), flavor="tensorrt", version="10.3.0",
        plan_bytes=4, plan_sha256=SHA,
    )  # fmt: skip
    plan = Engine(Path("b.fp32.tensorrt.engine"), b"plan", record)
    specs = tensor_specs(bundle.manifest, bundle.variant())
    return TensorRtBackend(plan, fake_flavor(bundle.network(bundle.variant()), cuda), cuda, *specs, **options)


def on_gpu(kind: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Backend:
    cuda = FakeCuda()
    if kind == "tensorrt":
        return on_tensorrt(bundle, cuda, heads_on="cuda")
    put_in_place(monkeypatch, cuda)
    return opened(bundle, heads_on="cuda")


BACKENDS = pytest.mark.parametrize("kind", ["onnxruntime", "tensorrt"])


@BACKENDS
def test_run_downloads_and_two_slots_keep_their_heads_apart(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bundle = read_bundle(tiny.bundle("merge_queries"))
    path = bundle.network(bundle.variant())
    with on_gpu(kind, bundle, monkeypatch) as backend:
        assert backend.head_device == "cuda"
        pictures = [picture(bundle, seed) for seed in (1, 2)]
        slots = [backend.acquire() for _ in pictures]
        for slot, one in zip(slots, pictures, strict=True):
            np.copyto(slot.inputs["image"], one["image"])
            backend.submit(slot)
        for slot, one in reversed(list(zip(slots, pictures, strict=True))):
            heads = backend.wait(slot)
            wanted = run_file(path, one, threads=1)
            for name, head in heads.items():
                assert isinstance(head.array, DeviceArray)
                about = head.array.__cuda_array_interface__
                assert (about["shape"], about["typestr"], about["strides"]) == (wanted[name].shape, "<f4", None)
                assert about["data"] == (head.array.address, False)
                np.testing.assert_array_equal(head.on_host(), wanted[name])
            backend.release(slot)
        one = picture(bundle, 3)
        for name, array in backend.run(one).items():
            np.testing.assert_array_equal(array, run_file(path, one, threads=1)[name])


@BACKENDS
def test_addresses_of_a_slot_never_change(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    bundle = read_bundle(tiny.bundle("argmax"))
    with on_gpu(kind, bundle, monkeypatch) as backend:
        addresses = set()
        for _ in range(3):
            slot = backend.acquire()
            addresses.add((slot.index, backend.execute(slot)["logits"].array.address))
            backend.release(slot)
        assert len(addresses) == 1


def test_two_networks_at_once_have_a_queue_each_and_one_wait(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(tiny.bundle("argmax"))
    put_in_place(monkeypatch, FakeCuda())
    members = {name: opened(bundle, heads_on="cuda") for name in ("things", "stuff")}
    with MembersBackend(members) as backend:
        assert backend.head_device == "cuda"
        for seed in range(3):
            one = picture(bundle, seed)["image"]
            slot = backend.acquire()
            np.copyto(slot.inputs["things.image"], one)
            np.copyto(slot.inputs["stuff.image"], 255 - one)
            heads = backend.execute(slot)
            assert slot.gpu is not None
            assert heads["things.logits"].array.queue is not heads["stuff.logits"].array.queue
            slot.settle()
            assert (slot.upload_ms, slot.inference_ms, slot.decode_ms) == (3.0, 1.5, 3.0)
            for name, pixels in (("things", one), ("stuff", 255 - one)):
                wanted = run_file(bundle.network(bundle.variant()), {"image": pixels}, threads=1)["logits"]
                np.testing.assert_array_equal(heads[f"{name}.logits"].on_host(), wanted)
            slot.gpu.uploads = False
            backend.release(slot)
            assert slot.gpu.uploads


@pytest.fixture
def decoding(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a segmenter whose heads stay on the GPU, with a decoder that reads them behind the network."""
    seen: list[str] = []

    def decode(arrays: Any, geometry: Any, context: Context) -> Any:
        on_host = {}
        for role, array in arrays.items():
            assert isinstance(array, DeviceArray)
            queue = array.queue
            on_host[role] = np.empty(array.shape, array.dtype)
            with queue.cuda.current():
                queue.cuda.download(on_host[role], array.address, queue.stream)
            seen.append(role)
        queue.synchronize()
        return find_decoder(context.decode, "cpu")(on_host, geometry, context)

    monkeypatch.setattr(
        frame_steps,
        "find_decoder",
        lambda rule, device: decode if device == "cuda" else find_decoder(rule, device),
    )

    def make(kind: str) -> Segmenter:
        bundle = read_bundle(tiny.bundle("argmax"))
        backend = on_gpu(kind, bundle, monkeypatch)
        context = Context(bundle.manifest.decode, bundle.manifest.labels, 1)
        segmenter = Segmenter(bundle, bundle.variant(), backend, context)
        segmenter.seen = seen  # type: ignore[attr-defined]
        return segmenter

    return make


@BACKENDS
def test_a_segmenter_decodes_on_the_gpu_and_downloads_heads_when_asked(
    tiny: SimpleNamespace, decoding: Any, kind: str
) -> None:
    with decoding(kind) as segmenter:
        image = tiny.thirds(32, 48)
        result, heads, geometry = segmenter.detailed(image)
        assert segmenter.seen == ["semantic_logits"]
        assert isinstance(heads["logits"], np.ndarray)
        np.testing.assert_array_equal(segmenter.heads(image)[0]["logits"], heads["logits"])
        np.testing.assert_array_equal(segmenter.decoded(heads, geometry).class_map, result.class_map)
        timings = segmenter(image).timings
        assert (timings.inference_ms, timings.postprocess_ms >= 1.5) == (1.5, True)
        stages = sample(segmenter, image)
        assert stages["inference"] == 1.5
        assert all(check.passed for check in [*verify(segmenter), *check_two_pictures(segmenter)])


def test_a_stream_decodes_on_the_gpu_and_knows_the_networks_time(decoding: Any, tmp_path: Path) -> None:
    import cv2

    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 48, 3), 60 * number, np.uint8))
    with decoding("onnxruntime") as segmenter:
        results = [result for _, result in stream(segmenter, tmp_path)]
    assert len(results) == 4
    assert {result.timings.inference_ms for result in results} == {1.5}
