"""What others are compared with is computed on the CPU, also where ONNX Runtime offers a GPU."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.cli import cli
from segrt.runtime.files.images import write_image
from segrt.runtime.segmenter import open_bundle


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Offer CUDA, and note what each session is asked to run on; one that is asked for CUDA does not open."""
    providers: list[tuple[str, ...]] = []
    real = onnxruntime.InferenceSession

    def opened(*args: Any, **options: Any) -> Any:
        names = tuple(one if isinstance(one, str) else one[0] for one in options["providers"])
        providers.append(names)
        if "CUDAExecutionProvider" in names:
            raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")
        return real(*args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    return providers


def run(*arguments: object) -> None:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_the_fixture_sees_what_takes_the_gpu(tiny: SimpleNamespace, asked: list[tuple[str, ...]]) -> None:
    folder = tiny.bundle("argmax")
    with pytest.raises(Exception, match="illegal memory access"):
        open_bundle(folder, backend="onnxruntime", threads=1)
    assert ("CUDAExecutionProvider", "CPUExecutionProvider") in asked


@pytest.mark.usefixtures("family")
def test_parity_golden_frames_calibration_and_judging_of_an_export(
    tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(4):
        picture = np.random.default_rng(seed).integers(0, 256, (48, 64, 3)).astype(np.uint8)
        write_image(photos / f"{seed}.png", picture)
    out = tmp_path / "bundle"
    run("export", "tiny", "--weights", "random", "--out", out, "--precision", "fp32,fp16,int8",
        "--calibration", photos, "--threads", "1")  # fmt: skip
    assert [variant.precision for variant in read_bundle(out).manifest.variants] == ["fp32", "fp16", "int8"]
    assert set(asked) == {("CPUExecutionProvider",)}


def test_adopting_and_adding_a_variant(tiny: SimpleNamespace, tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("red\ngreen\nblue\n")
    options = AdoptOptions(technique="semantic", labels=str(classes))
    adopt_network(tiny.save(tiny.class_map_model()), tmp_path / "adopted", options)
    run("quantize", tiny.bundle("binary"), "--precision", "fp16", "--out", tmp_path / "two", "--agreement", "0.1")
    assert set(asked) == {("CPUExecutionProvider",)}
