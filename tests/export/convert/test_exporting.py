"""`segrt export` from end to end, with a family of three convolutions in place of a real one."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from tiny_family import CLASSES, RANDOM, RESIZE, SIZE, STRETCH, TINY, tiny  # noqa: E402

from segrt.export.convert import exporting, memory  # noqa: E402
from segrt.export.convert.exporting import export_model  # noqa: E402
from segrt.export.graph.tracing import Traced  # noqa: E402
from segrt.export.synthetic_pictures import synthetic_picture  # noqa: E402
from segrt.runtime import open_bundle  # noqa: E402
from segrt.runtime.authoring.verification import verify  # noqa: E402
from segrt.runtime.bundle.golden import read_golden  # noqa: E402
from segrt.runtime.bundle.locating import read_bundle  # noqa: E402
from segrt.runtime.cli import cli  # noqa: E402
from segrt.runtime.errors import CheckFailed, SegrtError  # noqa: E402
from segrt.runtime.files.images import write_image  # noqa: E402
from segrt.runtime.preprocess.picture import resize_picture  # noqa: E402
from segrt.runtime.results import SemanticResult  # noqa: E402

pytestmark = pytest.mark.usefixtures("family")


@pytest.mark.prints_table("export")
def test_an_export_writes_a_bundle_that_verifies_and_says_how_it_compared(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["export", "tiny", "--out", str(tmp_path / "tiny"), "--weights", "random"])
    assert done.exit_code == 0, done.output
    assert "Against torch, over 3 pictures" in done.output
    bundle = read_bundle(tmp_path / "tiny")
    manifest = bundle.manifest
    stated = manifest.variants[0].parity
    assert stated is not None
    assert stated.images == 3
    assert stated.heads["logits"].max_abs < 1e-4
    assert stated.agreement > 0.95
    assert manifest.source.weights == "random, seed 0"
    with open_bundle(bundle.folder, threads=1) as segmenter:
        assert all(check.passed for check in verify(segmenter))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    shown = CliRunner().invoke(cli, ["inspect", str(bundle.folder)]).output
    assert f"{stated.agreement:.4%} over 3 images" in shown

    picture, golden = read_golden(bundle, manifest.golden[0])
    inner = resize_picture(picture, (64, 85), RESIZE)
    canvas = np.full((*SIZE, 3), RESIZE.pad, np.float32)
    canvas[:, 5:90] = inner[..., ::-1]
    exportable = tiny()
    pixels = torch.from_numpy((canvas / 255 - exportable.mean) / exportable.std).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        wanted = exportable.core(pixels)[0].numpy()
    np.testing.assert_allclose(golden.heads["semantic_logits"], wanted, atol=1e-4)


def test_a_family_from_outside_is_listed_and_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # else the table is blocks
    listed = CliRunner().invoke(cli, ["models", "--technique", "semantic"]).output
    line = next(line for line in listed.splitlines() if line.startswith("  tiny "))
    *figures, terms = line.split()
    assert figures == ["tiny", "64x96", "0.0", "0.0", "0.0", "voc"]
    assert f" {terms}  tiny: code Apache-2.0; no published weights" in listed
    entries = json.loads(CliRunner().invoke(cli, ["models", "--json"]).output)
    assert [entry["family"] for entry in entries if entry["name"] == "tiny"] == ["tiny"]

    arguments = ["export", "tiny", "--out", str(tmp_path / "tiny"), "--weights", "random", "--threads", "1"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    assert read_bundle(tmp_path / "tiny").manifest.family == "tiny"


def test_a_network_that_differs_from_the_framework_is_not_written(
    family: Callable[..., None], traced: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(pixels: Any, mask: Any, geometry: Any) -> SemanticResult:  # noqa: ARG001
        return SemanticResult(np.zeros(geometry.source_size, np.uint8), CLASSES)

    family(framework_result=other, resize=STRETCH)
    monkeypatch.setattr(exporting, "trace", lambda *_, **__: traced)
    shown: list[Any] = []
    with pytest.raises(CheckFailed, match=r"result has .* agree.* at least 95"):
        export_model("tiny", tmp_path / "tiny", RANDOM, show=shown.append)
    assert [line.what for line in shown[0].lines if not line.passed] == ["result"]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def interrupted(exportable: Any, size: Any, path: Path, name: str, **_: Any) -> None:  # noqa: ARG001
        path.write_bytes(b"half")
        assert list((tmp_path / "temporary").iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "trace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_model("tiny", tmp_path / "tiny", RANDOM)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


# What is wrong is said before torch builds anything.


def refused(arguments: list[str]) -> str:
    done = CliRunner().invoke(cli, ["export", *arguments])
    assert isinstance(done.exception, SegrtError), done.output
    return str(done.exception)


def test_without_torch_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segrt.export.cli.export.find_spec", lambda name: None if name == "torch" else object())
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random"])
    assert said == "segrt export needs torch; `pip install 'segrt[export]'`"


def test_a_package_that_a_model_needs_is_named(tmp_path: Path, add_model: Callable[..., None]) -> None:
    def without_package(request: Any) -> None:
        raise ImportError(f"{request.model.name} is built with\nfancy-nets", name="fancy_nets")

    add_model(replace(TINY, needs=("fancy-nets",)), without_package)
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random"])
    assert said == "tiny needs fancy_nets; `pip install fancy-nets`"


@pytest.mark.parametrize(
    ("name", "installed", "needed", "what"),
    [
        ("eomt-large-640-dinov3-coco-panoptic", "5.0.3", "5.1.0", "EomtDinov3Config"),
        ("rfdetr-seg-nano", "5.8.0", "5.9.0", "RfDetrConfig"),
        ("edgetam-repvit-m1", "4.57.1", "5.0.0", "EdgeTamModel"),
        *(
            (name, "4.40.0", "5.0.0", None)
            for name in (
                *("segformer-b0-ade", "upernet-swin-tiny", "dfine-seg-n", "detr-resnet50-panoptic"),
                *(
                    "maskformer-swin-tiny-coco",
                    "mask2former-swin-tiny-coco-panoptic",
                    "oneformer-swin-tiny-ade-panoptic",
                ),
            )
        ),
    ],
)
def test_a_transformers_that_is_too_old_for_a_family_is_named_with_the_one_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, installed: str, needed: str, what: str | None
) -> None:
    import transformers

    def lacks(module: Any, wanted: str) -> Any:  # noqa: ARG001
        raise AttributeError(f"module transformers has no attribute {wanted}")

    for loaded in [key for key in vars(transformers) if key[:1].isupper()]:
        monkeypatch.delattr(transformers, loaded)
    monkeypatch.setattr(type(transformers), "__getattr__", lacks)
    monkeypatch.setattr("segrt.export.convert.missing_classes.version", lambda package: installed)  # noqa: ARG005
    said = refused([name, "--out", str(tmp_path / "b"), "--weights", "random"])
    anything = r"[A-Z]\w+"
    assert re.fullmatch(
        rf"{name} needs transformers {needed} or newer for {what or anything}, but {installed} is installed; "
        "`pip install -U transformers`",
        said,
    )


def test_a_package_that_is_there_and_lacks_something_must_be_newer(
    tmp_path: Path, add_model: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_from_it(_request: Any) -> None:
        from click import a_function_to_come  # type: ignore[attr-defined]  # noqa: F401

    monkeypatch.setattr("segrt.export.convert.missing_classes.version", lambda package: "8.0")  # noqa: ARG005
    add_model(TINY, import_from_it)
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random"])
    assert said == "tiny needs a newer click than 8.0, which has no a_function_to_come; `pip install -U click`"


def test_an_unknown_model_gets_the_nearest_names(tmp_path: Path) -> None:
    said = refused(["deeplabv3_resnet5", "--out", str(tmp_path / "b")])
    assert "there is no model 'deeplabv3_resnet5'" in said
    assert "deeplabv3_resnet50" in said


def test_a_size_that_the_family_cannot_take_gets_the_next_ones(tmp_path: Path) -> None:
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--size", "65x96"])
    assert said == "--size 65x96: tiny takes multiples of 32; the next are 64x96 or 96x96"


def test_a_size_that_the_network_itself_cannot_take_is_one_line(tmp_path: Path, add_model: Callable[..., None]) -> None:
    def too_small(request: Any) -> Any:  # noqa: ARG001 (the signature of a family)
        raise RuntimeError("Kernel size can't be greater\nthan actual input size")

    add_model(TINY, too_small)
    refused = CliRunner().invoke(
        cli, ["export", "tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--size", "32x32"]
    )
    message = str(refused.exception)
    assert message.startswith(
        "--size 32x32: tiny cannot take it (Kernel size can't be greater than actual input size);"
    )
    assert "its own is 64x96" in message
    with pytest.raises(RuntimeError, match="Kernel"):  # a fault of ours at the size that it is made for
        export_model("tiny", tmp_path / "b", RANDOM)


def test_a_model_without_published_weights_says_so(tmp_path: Path) -> None:
    assert "has no published weights; give yours with --weights FILE" in refused(["tiny", "--out", str(tmp_path / "b")])


def test_int8_without_pictures_says_what_is_missing(tmp_path: Path) -> None:
    common = ["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--precision", "fp32,int8"]
    assert "needs --calibration DIR" in refused(common)
    (tmp_path / "empty").mkdir()
    said = refused([*common, "--calibration", str(tmp_path / "empty")])
    assert str(tmp_path / "empty") in said
    assert "no pictures" in said


def test_too_few_parity_pictures_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "one.png", synthetic_picture(1))
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--parity-images", str(tmp_path)])
    assert "holds 1 pictures; give at least 3" in said


def test_a_precision_that_is_none_is_refused(tmp_path: Path) -> None:
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--precision", "fp8"])
    assert said == "--precision fp8: must be fp32, fp16, int8, int8-cpu, comma-separated"


def test_a_bundle_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    said = refused(["tiny", "--out", str(tmp_path / "there"), "--weights", "random"])
    assert "is already there" in said


def test_too_little_memory_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 0.5e9)
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random"])
    assert "needs 1.0 GB of memory at least, but 0.5 are free" in said


def test_a_family_without_batches_refuses_a_dynamic_one(family: Callable[..., None], tmp_path: Path) -> None:
    family(dynamic_batch=False)
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--dynamic-batch"])
    assert "leave --dynamic-batch out" in said


def test_top_queries_needs_queries(tmp_path: Path) -> None:
    said = refused(["tiny", "--out", str(tmp_path / "b"), "--weights", "random", "--top-queries", "5"])
    assert "has no queries to choose from" in said


def test_labels_without_things_are_warned_of_where_a_network_is_panoptic(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(*_: object) -> None:
        raise SegrtError("enough")

    monkeypatch.setattr(memory, "check", stop)
    (tmp_path / "two.txt").write_text("road\ncar\n")
    (tmp_path / "two.json").write_text('[{"name": "road"}, {"name": "car", "isthing": true}]')
    said: list[str] = []
    for name, labels in (
        ("detr-resnet50-panoptic", "two.json"),
        ("tiny", "two.txt"),
        ("detr-resnet50-panoptic", "two.txt"),
    ):
        options = replace(RANDOM, labels=str(tmp_path / labels))
        with pytest.raises(SegrtError, match="enough"):
            export_model(name, tmp_path / "out", options, say=said.append, show=lambda *_: None)
    assert len(said) == 1
    assert said[0].startswith(f"warning: --labels {tmp_path}/two.txt tells no things from stuff")
