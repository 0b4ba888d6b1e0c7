"""`segrt get` keeps a published model's bundle under its name; where nothing can be fetched it says what to do."""

import socket
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from segrt.export.convert import getting
from segrt.export.convert.exporting import Exported, ExportOptions
from segrt.runtime import open_bundle
from segrt.runtime.bundle.kept_bundles import is_kept, kept_folder, kept_names
from segrt.runtime.bundle.locating import locate
from segrt.runtime.cli import cli, demo_photo
from segrt.runtime.errors import BundleError, CheckFailed, SegrtError

NAME = "lraspp_mobilenet_v3_large"
KINDS = {
    "deeplabv3_resnet101": "argmax",
    "maskrcnn_resnet50_fpn": "query_instances",
    "detr-resnet101-panoptic": "merge_queries",
}


@pytest.fixture(name="asked")
def exports(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[ExportOptions]:
    """Let tiny bundles stand in for exports; returns what was asked."""
    asked: list[ExportOptions] = []

    def export_model(name: str, out: Path, options: ExportOptions, **_: object) -> Exported:
        asked.append(options)
        return Exported(tiny.bundle(KINDS.get(name, "argmax"), out=str(out), overwrite=options.overwrite), None)  # type: ignore[arg-type]

    monkeypatch.setattr(getting, "export_model", export_model)
    return asked


@pytest.fixture(name="offline")
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr("torch.hub.get_dir", lambda: "/nonexistent/hub")


@pytest.fixture(name="photo")
def photo_file(tmp_path: Path, tiny: SimpleNamespace) -> Path:
    cv2.imwrite(str(tmp_path / "photo.png"), tiny.thirds(96, 144))
    return tmp_path / "photo.png"


def test_a_kept_model_is_opened_by_its_name_by_python_and_commands(
    asked: list[ExportOptions], own_cache: Path, photo: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=f"no such bundle; `segrt get {NAME}` fetches it where .*; else"):
        open_bundle(NAME)
    done = CliRunner().invoke(cli, ["get", NAME])
    assert done.exit_code == 0, done.output
    assert f"{NAME}: weights of about 13 MB, licence BSD-3-Clause, from https://download" in done.stderr
    assert f"{NAME}: verified and kept, 0.0 MB, in {own_cache / 'bundles' / NAME}" in done.stdout
    assert [options.weights.kind for options in asked] == ["pretrained"]
    assert kept_names() == (NAME,)
    with open_bundle(NAME, threads=1) as segmenter:
        assert segmenter(photo).found() == "red, green, blue"
    done = CliRunner().invoke(cli, ["run", NAME, str(photo), "--out", str(tmp_path / "out"), "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out/overlay/photo.png").is_file()
    assert "alone" not in done.stderr, "it has no domain"


def test_what_is_kept_stays_and_is_listed(asked: list[ExportOptions]) -> None:
    assert "no bundle is kept yet" in CliRunner().invoke(cli, ["get"]).stdout
    for arguments in ([NAME], [NAME], [NAME, "--overwrite", "--precision", "fp32,fp16"]):
        assert CliRunner().invoke(cli, ["get", *arguments]).exit_code == 0
    assert [options.precisions for options in asked] == [("fp32",), ("fp32", "fp16")]
    assert "is there already" in CliRunner().invoke(cli, ["get", NAME]).stdout
    listed = CliRunner().invoke(cli, ["get"]).stdout
    assert listed == f"{NAME}: 0.0 MB, in {kept_folder(NAME)}\n"


@pytest.mark.usefixtures("offline")
def test_offline_the_file_and_its_place_are_named(own_cache: Path) -> None:
    with pytest.raises(SegrtError, match="cannot be fetched") as caught:
        CliRunner().invoke(cli, ["get", NAME], catch_exceptions=False)
    wanted = own_cache / "weights/lraspp_mobilenet_v3_large-d234d4ea.pth"
    assert f"fetch it elsewhere and put it at {wanted}, or give it with --weights FILE" in str(caught.value)
    with pytest.raises(SegrtError, match=f"put it at {wanted}, or `segrt get {NAME} --weights FILE`"):
        getting.get_missing((NAME,), print)
    assert not is_kept(NAME)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deeplabv3plus-resnet50"], "has no published weights but for its encoder; give yours with --weights FILE"),
        (["deeplabv3_resnet", NAME], "there is no model 'deeplabv3_resnet'; did you mean deeplabv3_resnet50"),
        ([NAME, "fcn_resnet50", "--weights", "a.pth"], "--weights a.pth: is of one model, but 2 are named"),
    ],
)
def test_what_cannot_be_got_is_said(asked: list[ExportOptions], arguments: list[str], message: str) -> None:
    with pytest.raises(SegrtError, match=message):
        CliRunner().invoke(cli, ["get", *arguments], catch_exceptions=False)
    assert asked == []


def test_a_failed_export_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise CheckFailed("differs from torch")

    monkeypatch.setattr(getting, "export_model", failing)
    with pytest.raises(CheckFailed):
        getting.get_model(NAME)
    assert not is_kept(NAME)


def test_names_of_hubs_are_kept_too_and_paths_are_no_names(asked: list[ExportOptions], tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax", out=str(kept_folder("hf:some/model")))
    assert locate("hf:some/model") == folder
    assert kept_names() == ("hf:some/model",)
    assert not is_kept("../bundles")
    for path in ("./missing", "some/missing", "missing.onnx", "/missing"):
        with pytest.raises(BundleError) as caught:
            locate(path)
        assert "segrt get" not in str(caught.value)
    assert asked == []


def test_a_photo_is_compared_by_three_real_networks_that_are_got_once(
    asked: list[ExportOptions], photo: Path, tmp_path: Path
) -> None:
    assert set(KINDS) == set(demo_photo.MODELS)
    for first in (True, False):
        arguments = ["demo", "--photo", str(photo), "--out", str(tmp_path / "demo"), "--threads", "1"]
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
        assert len(asked) == 3
        assert ("3 of 3 models are fetched, once" in done.stderr) is first
        assert ("maskrcnn_resnet50_fpn: weights of about 178 MB" in done.stderr) is first
        sheet = cv2.imread(str(tmp_path / "demo/comparison.png"))
        assert sheet is not None
        assert np.ptp(sheet) > 200
        for word in (*KINDS, "semantic", "instance", "panoptic"):
            assert word in done.stdout


def test_without_a_photo_nothing_is_fetched(asked: list[ExportOptions], tmp_path: Path) -> None:
    with pytest.raises(SegrtError, match=r"missing.jpg: cannot be read"):
        CliRunner().invoke(cli, ["demo", "--photo", str(tmp_path / "missing.jpg")], catch_exceptions=False)
    assert asked == []


def test_a_bundle_with_a_domain_says_so_once(tiny: SimpleNamespace, photo: Path, tmp_path: Path) -> None:
    folder = tiny.bundle("argmax", network=replace(tiny.network("argmax"), domain="blocks of colour"))
    arguments = ["run", str(folder), str(photo), str(photo), "--out", str(tmp_path / "out"), "--threads", "1"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("tiny-argmax knows blocks of colour alone, what is found in other pictures") == 1
    sheet = str(tmp_path / "sheet.png")
    done = CliRunner().invoke(cli, ["compare", str(photo), str(folder), str(folder), "--out", sheet, "--repeat", "1"])
    assert done.stderr.count("tiny-argmax knows blocks of colour alone") == 1
