"""A segmenter that decodes on the GPU brings pictures there itself, and whoever wants them on the host gets them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda

from segrt.runtime import open_bundle
from segrt.runtime.authoring.pairing import PairOptions, pair_bundles
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.decoders import PROGRAMS, RULES
from segrt.runtime.errors import DeviceLostError, ImageError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.preprocess.cuda import slot_pictures
from segrt.runtime.profiling import layer_times

FILES = ("antialias", "preprocess", *PROGRAMS)


@pytest.fixture(autouse=True)
def kernels_in_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator needs no PTX."""
    for module in ("decode.decoding_place", "inference.cuda.kernels", "preprocess.cuda.slot_pictures"):
        monkeypatch.setattr(f"segrt.runtime.{module}.built_files", lambda: FILES)


def image(seed: int, size: tuple[int, int] = (90, 140)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def kernels_of(gpu: EmulatedCuda) -> set[str]:
    return {name.split("_")[0] for name in gpu.launched}


def test_heads_are_those_of_pictures_prepared_on_the_cpu(gpu: EmulatedCuda) -> None:
    sizes = [(90, 140), (90, 140), (64, 200), (192, 320), (90, 140)]
    with open_bundle("street-semantic", threads=1) as segmenter:
        assert segmenter.preprocess_device == "cuda"
        found = [segmenter.heads(image(seed, size)) for seed, size in enumerate(sizes)]
        launched = len(gpu.launched)
        assert launched >= len(sizes), "one kernel a picture at least"
    with open_bundle("street-semantic", threads=1, decode_on="cpu") as on_cpu:
        assert on_cpu.preprocess_device == "cpu"
        for (heads, geometry), (seed, size) in zip(found, enumerate(sizes), strict=True):
            wanted, place = on_cpu.heads(image(seed, size))
            np.testing.assert_array_equal(heads["semantic_logits"], wanted["semantic_logits"])
            assert geometry == place
    assert len(gpu.launched) == launched
    assert gpu.alive == 0


def test_a_picture_of_another_kind_is_refused_as_on_the_cpu(gpu: EmulatedCuda) -> None:
    with open_bundle("street-semantic", threads=1) as segmenter:
        with pytest.raises(ImageError) as on_gpu:
            segmenter(np.zeros((4, 4), np.float32))
        segmenter(image(1))
    with open_bundle("street-semantic", threads=1, decode_on="cpu") as segmenter, pytest.raises(ImageError) as on_cpu:
        segmenter(np.zeros((4, 4), np.float32))
    assert str(on_gpu.value) == str(on_cpu.value)
    assert gpu.alive == 0


def test_what_the_kernels_do_not_do_is_done_on_the_cpu(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_pictures, "built_files", lambda: ("argmax",))
    with open_bundle("street-semantic", threads=1) as segmenter:
        assert (segmenter.placement.device, segmenter.preprocess_device) == ("cuda", "cpu")
        segmenter(image(1))
    assert "preprocess" not in kernels_of(gpu)
    specs = read_bundle("street-semantic").manifest.inputs
    assert slot_pictures.why_not_pictures(specs) == "this build of segrt has no kernels preprocess, antialias"


def test_layers_are_measured_on_the_picture_and_not_on_what_lay_in_the_host_views(
    gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpu is not None
    given: list[dict[str, np.ndarray]] = []
    with open_bundle("street-semantic", threads=1) as segmenter:
        monkeypatch.setattr(segmenter.backend, "layer_times", lambda inputs, _: given.append(inputs) or [])
        layer_times.measure_layers(segmenter, image(1))
        slot = segmenter.backend.acquire()
        segmenter.preprocess_on_cpu(image(1), slot)
        np.testing.assert_array_equal(given[0]["image"], slot.inputs["image"])
        segmenter.backend.release(slot)
    assert given[0]["image"].any()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            "cuLaunchKernel",
            CudaError("cuLaunchKernel", "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"),
            "lost",
        ),
        ("memory", None, "out of memory"),
    ],
)
def test_a_gpu_that_is_lost_or_full_ends_the_process(
    call: str, error: CudaError | None, words: str, gpu: EmulatedCuda
) -> None:
    with open_bundle("street-semantic", threads=1) as segmenter:
        segmenter(image(1))
        if error is None:
            gpu.left = 1000
        else:
            gpu.fail[call] = error
        with pytest.raises(DeviceLostError, match=f"^preprocessing on Fake GPU: .*{words}") as caught:
            segmenter(image(2, (400, 300)))
        assert (caught.value.exit_code, str(caught.value).count("\n")) == (4, 0)
        gpu.fail.clear()


def test_on_a_gpu_that_shares_memory_nothing_is_copied(gpu: EmulatedCuda) -> None:
    gpu.device = replace(gpu.device, integrated=True)
    with open_bundle("street-semantic", threads=1) as segmenter:
        gpu.log.clear()
        segmenter.heads(image(1))
        assert "upload" not in gpu.log


def test_each_place_of_a_batch_gets_its_own_picture_and_result(gpu: EmulatedCuda, tiny: Any) -> None:
    folder = tiny.batched_semantic()
    pictures = [tiny.thirds(32, 48), tiny.thirds(60, 30)[:, ::-1].copy()]
    with open_bundle(folder, threads=1, batch=2) as segmenter:
        assert segmenter.placement.device == segmenter.preprocess_device == "cuda"
        for _ in range(3):
            slot = segmenter.backend.acquire()
            places = [segmenter.preprocess(picture, slot, index) for index, picture in enumerate(pictures)]
            segmenter.backend.submit(slot)
            heads = segmenter.backend.wait(slot)
            both = [segmenter.postprocess(heads, place, index) for index, place in enumerate(places)]
            segmenter.backend.release(slot)
    with open_bundle(folder, threads=1, decode_on="cpu") as on_cpu:
        for result, picture in zip(both, pictures, strict=True):
            np.testing.assert_array_equal(result.class_map, on_cpu(picture).class_map)  # type: ignore[union-attr]
    del both, result
    assert gpu.alive == 0


def test_every_rule_has_a_program_but_that_of_prompts() -> None:
    assert set(PROGRAMS) == set(RULES) - {"prompted_masks"}


# Scenes of the others are in test_gpu_scripts.
@pytest.mark.parametrize(
    "rule",
    [
        rule
        for rule in RULES
        if rule
        not in ("prototype_masks", "matrix_nms", "group_centers", "merge_members", "prompted_masks")  # no tiny networks
    ],
)
def test_rules_give_on_the_gpu_what_it_gives_on_the_cpu(rule: str, gpu: EmulatedCuda, tiny: Any) -> None:
    bundle = tiny.bundle(rule)
    pictures = [tiny.thirds(32, 48), tiny.thirds(60, 90), tiny.thirds(32, 48)[:, ::-1].copy()]
    with open_bundle(bundle, threads=1, decode_on="cpu") as segmenter:
        wanted = [segmenter(picture) for picture in pictures]
    with open_bundle(bundle, threads=1, decode_on="cuda") as segmenter:
        found = [segmenter(picture) for picture in pictures]
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other)
    del found, one  # and the memory that they lie in
    assert gpu.alive == 0


def test_two_networks_decode_each_in_its_own_queue_and_are_merged(gpu: EmulatedCuda, tiny: Any, tmp_path: Path) -> None:
    folder = tmp_path / "pair"
    semantic, instance = (read_bundle(tiny.bundle(kind)) for kind in ("argmax", "query_instances"))
    pair_bundles(semantic, instance, folder, PairOptions(threads=1))
    pictures = [tiny.thirds(32, 48), tiny.thirds(60, 90), tiny.thirds(32, 48)[:, ::-1].copy(), tiny.thirds(32, 48)]
    with open_bundle(folder, threads=1, decode_on="cpu") as segmenter:
        wanted = [segmenter(picture) for picture in pictures]
    with open_bundle(folder, threads=1, decode_on="cuda") as segmenter:
        assert segmenter.preprocess_device == "cuda"
        found = [segmenter(picture) for picture in pictures]
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other)
    assert gpu.alive == 0


def assert_same(one: Any, other: Any) -> None:
    """Compare two results in everything but their timings."""
    assert type(one) is type(other)
    for name, value in vars(other).items():
        if name == "timings":
            continue
        if isinstance(value, np.ndarray):
            assert getattr(one, name).dtype == value.dtype
            np.testing.assert_array_equal(getattr(one, name), value)
        else:
            assert getattr(one, name) == value, name
