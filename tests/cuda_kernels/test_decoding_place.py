"""Where heads are decoded: the same results on both, refusals in one line, the reason in all that is told."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda

from segrt.runtime import open_bundle
from segrt.runtime.cli import main
from segrt.runtime.decode import decoding_place
from segrt.runtime.decode.cuda.argmax import ArgmaxProgram
from segrt.runtime.errors import BackendError, DeviceLostError
from segrt.runtime.inference import backends
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.kernels import built_files
from segrt.runtime.results import SemanticResult

FILES = ("antialias", "argmax", "preprocess")
UNSUPPORTED = CudaError(
    "cuModuleLoadData",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
    "the provided PTX was compiled with an unsupported toolchain.",
)


@pytest.fixture(autouse=True)
def kernels_in_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator needs no PTX."""
    monkeypatch.setattr(decoding_place, "built_files", lambda: FILES)
    monkeypatch.setattr("segrt.runtime.preprocess.cuda.slot_pictures.built_files", lambda: FILES)
    monkeypatch.setattr("segrt.runtime.inference.cuda.kernels.built_files", lambda: FILES)


def image(seed: int, size: tuple[int, int] = (90, 140)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def class_map(decode_on: Any, seed: int) -> np.ndarray:
    with open_bundle("street-semantic", threads=1, decode_on=decode_on) as segmenter:
        result = segmenter(image(seed))
    assert isinstance(result, SemanticResult)
    return result.class_map


def segrt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["segrt", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out + captured.err


def test_auto_decodes_where_the_heads_lie_and_gives_the_same(gpu: EmulatedCuda) -> None:
    with open_bundle("street-semantic", threads=1) as segmenter:
        assert segmenter.backend.head_device == "cuda"
        assert segmenter.placement == decoding_place.Placement("cuda", "the heads lie there")
        results = [segmenter(image(seed)) for seed in (1, 2, 3)]
        heads, _ = segmenter.heads(image(1))
        assert isinstance(heads["semantic_logits"], np.ndarray)
    assert sum(name.startswith("argmax_float") for name in gpu.launched) == 3
    assert gpu.alive == len(results), "what results lie in outlives the segmenter"
    for seed, result in zip((1, 2, 3), results, strict=True):
        np.testing.assert_array_equal(result.class_map, class_map("cpu", seed))
        assert result.timings.postprocess_ms > 0
        assert result.timings.inference_ms == 1.5


def test_the_cpu_decodes_when_it_is_asked_for(gpu: EmulatedCuda) -> None:
    with open_bundle("street-semantic", threads=1, decode_on="cpu") as segmenter:
        assert (segmenter.backend.device, segmenter.backend.head_device) == ("cuda", "cpu")
        assert segmenter.placement == decoding_place.Placement("cpu", "as asked")
        segmenter(image(1))
    assert gpu.launched == []


def test_without_a_gpu_auto_decodes_on_the_cpu_and_cuda_is_refused() -> None:
    with open_bundle("street-semantic", threads=1, backend="onnxruntime") as segmenter:
        if segmenter.backend.device != "cpu":
            pytest.skip("there is a GPU here")
        why = segmenter.placement.reason
        assert why.startswith("because the heads lie on the CPU")
    with pytest.raises(BackendError, match="--decode cuda: the heads lie on the CPU; take --decode auto") as caught:
        open_bundle("street-semantic", threads=1, backend="onnxruntime", decode_on="cuda")
    assert (caught.value.exit_code, str(caught.value).count("\n")) == (2, 0)


def test_another_word_is_refused() -> None:
    with pytest.raises(BackendError, match="decode_on must be auto, cpu, cuda, but got 'gpu'"):
        open_bundle("street-semantic", decode_on="gpu")  # type: ignore[arg-type]


def old_driver(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> str:
    gpu.kernels, gpu.fail["cuModuleLoadData"] = None, UNSUPPORTED
    monkeypatch.setattr("segrt.runtime.inference.cuda.kernels._ptx", lambda _: b".entry argmax_float_8(")
    return "unsupported toolchain.* update the driver, or install segrt's wheel"


def small_gpu(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> str:
    from dataclasses import replace

    monkeypatch.setattr(gpu, "device", replace(gpu.device, sm="7.2", name="Xavier"))
    return "need compute capability 7.5, but Xavier has 7.2"


def no_kernels(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    monkeypatch.setattr(decoding_place, "built_files", tuple)
    return "this build of segrt has no CUDA kernels"


def no_program(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    monkeypatch.delitem(decoding_place.PROGRAMS._entries, "argmax")
    return "rule argmax has no decoder on the GPU"


def unfit(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    monkeypatch.setattr(ArgmaxProgram, "why_not", lambda dtypes: f"{dtypes['semantic_logits']} is not read")
    return "float32 is not read"


@pytest.mark.parametrize("obstacle", [old_driver, small_gpu, no_kernels, no_program, unfit])
def test_what_the_gpu_cannot_decode_the_cpu_decodes_unless_the_gpu_is_demanded(
    obstacle: Any, gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    why = obstacle(gpu, monkeypatch)
    with (
        caplog.at_level(logging.INFO, "segrt.decode"),
        open_bundle("street-semantic", threads=1) as segmenter,
    ):
        assert segmenter.placement.device == segmenter.backend.head_device == "cpu"
        assert segmenter.backend.device == "cuda"
        for seed in (1, 2):
            got = segmenter(image(seed))
            np.testing.assert_array_equal(got.class_map, class_map("cpu", seed))
    with caplog.at_level(logging.INFO, "segrt.decode"):
        said = [message for message in caplog.messages if "because" in message]
    assert len(said) == 1
    assert gpu.alive == 0
    with pytest.raises(BackendError, match=f"^--decode cuda: .*{why}") as caught:
        open_bundle("street-semantic", threads=1, decode_on="cuda")
    assert (caught.value.exit_code, str(caught.value).count("\n"), gpu.alive) == (2, 0, 0)


def test_a_gpu_that_is_lost_while_kernels_load_is_no_reason_to_go_on(
    gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_driver(gpu, monkeypatch)
    text = "an illegal memory access was encountered"
    gpu.fail["cuModuleLoadData"] = CudaError("cuModuleLoadData", "CUDA_ERROR_ILLEGAL_ADDRESS", text)
    with pytest.raises(DeviceLostError, match="the GPU is lost"):
        open_bundle("street-semantic", threads=1)


def test_members_whose_heads_lie_apart_are_all_taken_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch, gpu: EmulatedCuda, tiny: Any
) -> None:
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.network_files import network_file
    from segrt.runtime.inference.network_file import Opening

    bundle = read_bundle(tiny.bundle("merge_queries"))
    network = network_file(bundle, bundle.variant())
    kinds = iter(["cuda", "cpu", "cpu", "cpu"])
    real = backends.open_backend

    def open_backend(given: Any, *, backend: str, opening: Opening) -> Any:
        from dataclasses import replace

        place: Any = next(kinds)
        return real(given, backend=backend, opening=replace(opening, heads_on=place))

    monkeypatch.setattr(backends, "open_backend", open_backend)
    both = {"one": network, "other": network}
    with backends.open_members(both, opening=Opening(threads=1, heads_on="cuda")) as joined:
        assert joined.head_device == "cpu"
    assert gpu.alive == 0


def test_stream_metrics_and_profiles_say_what_decodes_and_why(
    gpu: EmulatedCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics, profile = tmp_path / "metrics.json", tmp_path / "profile.json"
    source = "street://?seed=1&width=96&height=64"
    code, said = segrt(
        monkeypatch, capsys, "stream", "street-semantic", source, "--max-frames", "3", "--metrics", str(metrics)
    )
    assert code == 0, said
    told = json.loads(metrics.read_bytes())
    assert (told["decode_device"], told["decode_reason"]) == ("cuda", "the heads lie there")
    assert sum(name.startswith("argmax_float") for name in gpu.launched) == 3
    code, said = segrt(
        monkeypatch, capsys, "profile", "street-semantic", "--source", source, "--frames", "10", "--warmup", "1",
        "--no-cold", "--decode", "cpu", "--json", str(profile),
    )  # fmt: skip
    assert code == 0, said
    (run,) = json.loads(profile.read_bytes())["runs"]
    assert (run["decode_device"], run["decode_reason"]) == ("cpu", "as asked")


@pytest.mark.parametrize("command", ["run", "stream", "verify", "eval", "profile"])
def test_every_command_that_opens_a_bundle_refuses_what_cannot_be_in_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(decoding_place.PROGRAMS._entries, "argmax")
    from segrt.runtime.files.images import write_image

    picture = tmp_path / "picture.png"
    write_image(picture, image(1))
    (tmp_path / "labels").mkdir()
    write_image(tmp_path / "labels" / "picture.png", np.zeros((90, 140), np.uint8))
    arguments = {
        "run": [str(picture), "--out", str(tmp_path / "out")],
        "stream": ["street://?seed=1", "--max-frames", "1"],
        "verify": [],
        "eval": ["--annotations", str(tmp_path / "labels"), "--images", str(tmp_path)],
        "profile": ["--no-cold", "--frames", "10"],
    }[command]
    code, said = segrt(monkeypatch, capsys, command, "street-semantic", *arguments, "--decode", "cuda")
    assert code == 2
    errors = [line for line in said.splitlines() if line.strip()]
    why = "rule argmax has no decoder on the GPU"
    assert errors == [f"segrt: error: --decode cuda: {why}; take --decode cpu or auto, which decode on the CPU"]
    assert not (tmp_path / "out").exists()


def test_this_build_has_the_kernels() -> None:
    if not built_files():
        pytest.skip("this build has no kernels")
    assert "argmax" in built_files()
