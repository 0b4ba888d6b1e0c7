"""There is a whole bundle or none, and nothing else is ever replaced."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.export.bundling import GoldenPicture, VariantFile, write_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BundleError, CheckFailed, SegrtError


def leftovers(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.name.endswith((".partial", ".old"))]


def test_a_bundle_that_is_there_is_replaced_only_on_demand(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = tiny.bundle("argmax", out="b")
    with pytest.raises(BundleError, match="is already there; choose another folder or add --overwrite"):
        tiny.bundle("class_map", out="b")
    assert read_bundle(folder).manifest.name == "tiny-argmax"
    tiny.bundle("class_map", out="b", overwrite=True)
    assert read_bundle(folder).manifest.name == "tiny-class_map"
    assert leftovers(tmp_path) == []


def test_a_folder_that_is_no_bundle_is_never_replaced(tiny: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/one.jpg").touch()
    with pytest.raises(BundleError, match="is there and is no bundle, so it is not overwritten"):
        tiny.bundle("argmax", out="photos", overwrite=True)
    assert (tmp_path / "photos/one.jpg").exists()


def test_the_working_folder_is_never_the_bundle(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tiny.save(tiny.semantic_model())
    (tmp_path / "here").mkdir()
    (tmp_path / "here/note.txt").touch()
    monkeypatch.chdir(tmp_path / "here")
    for out in (".", "..", "/"):
        with pytest.raises(BundleError, match="is already there"):
            write_bundle(Path(out), tiny.network("argmax"), [VariantFile("fp32", file)], [])


def test_failure_at_any_point_leaves_the_old_bundle_and_no_traces(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.bundle("argmax", out="b")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for target in ("os.fsync", "pathlib.Path.rename"):
        with monkeypatch.context() as patch:
            patch.setattr(target, full)
            with pytest.raises(BundleError, match="No space left on device"):
                tiny.bundle("argmax", out="b", overwrite=True)
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
        assert leftovers(tmp_path) == []


def test_a_failed_check_writes_nothing(tiny: SimpleNamespace, tmp_path: Path) -> None:
    import numpy as np

    heads = {"logits": np.zeros((1, 3, 8, 12), np.float32)}
    with pytest.raises(CheckFailed, match="nothing was written"):
        tiny.bundle("argmax", out="b", golden=[GoldenPicture("g", tiny.thirds(24, 48), heads)])
    assert not (tmp_path / "b").exists()
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tiny: SimpleNamespace) -> None:
    network = tiny.network("argmax")
    file = tiny.save(tiny.semantic_model())
    with pytest.raises(BundleError, match=r"/proc/b: cannot be written"):
        write_bundle(Path("/proc/b"), network, [VariantFile("fp32", file)], [])


def test_a_missing_network_or_head_is_named(tiny: SimpleNamespace, tmp_path: Path) -> None:
    network = tiny.network("argmax")
    with pytest.raises(SegrtError, match=r"gone\.onnx: cannot be read"):
        write_bundle(tmp_path / "b", network, [VariantFile("fp32", tmp_path / "gone.onnx")], [])
    with pytest.raises(BundleError, match=r"golden frame 'g' must have head 'logits'.*but got none"):
        tiny.bundle("argmax", golden=[GoldenPicture("g", tiny.thirds(8, 8), {})])


def test_a_repository_s_name_becomes_one_part_of_a_path(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax", network=replace(tiny.network("argmax"), name="hf:organisation/net"))
    assert read_bundle(folder).manifest.name == "hf:organisation-net"
