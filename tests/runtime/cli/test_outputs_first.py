"""Whatever a command writes is looked at before its work begins: nobody waits for a result that has no place."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from segrt.runtime.cli import cli


def refusal(arguments: list[str]) -> str:
    """Return the one line that the command ends with."""
    with pytest.raises(Exception) as refused:  # noqa: PT011 - what click turns into a line
        CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    return str(refused.value)


@pytest.fixture(name="taken")
def taken_places(tmp_path: Path) -> tuple[Path, Path]:
    """A file, and a folder with something in it."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    return tmp_path / "file", tmp_path / "folder"


def never(*_: object, **__: object) -> None:
    raise AssertionError("the work was begun")


@pytest.mark.parametrize("place", ["file", "folder", "file/below"])
def test_pack(tiny: SimpleNamespace, taken: tuple[Path, Path], place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny.bundle("argmax")
    monkeypatch.setattr("segrt.runtime.bundle.pack.writer.manifest_with", never)
    out = taken[0].parent / place
    said = refusal(["pack", str(bundle), "--out", str(out)])
    assert said.startswith(f"{out.parent if place == 'file/below' else out}: ")
    assert taken[0].read_text() == (taken[1] / "file").read_text() == "mine"


@pytest.mark.parametrize("place", ["file", "folder", "file/below"])
def test_sign(taken: tuple[Path, Path], place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segrt.runtime.cli.sign._index", never)
    out = taken[0].parent / place
    key = taken[0].parent / "key.pem"
    said = refusal(["sign", str(taken[0].parent / "cam.segrt"), "--key", str(key), "--out", str(out)])
    assert str(taken[0] if place == "file/below" else out) in said
    assert taken[0].read_text() == (taken[1] / "file").read_text() == "mine"


@pytest.mark.parametrize("place", ["file", "folder", "file/below"])
def test_adopt(taken: tuple[Path, Path], place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr("segrt.export.adopt.adopting.read_graph", never)
    model = taken[0].parent / "model.onnx"
    model.write_bytes(b"\x08\x08\x12\x00:\x00")
    out = taken[0].parent / place
    said = refusal(["adopt", str(model), "--out", str(out), "--technique", "semantic"])
    assert str(taken[0] if place == "file/below" else out) in said
    assert taken[0].read_text() == (taken[1] / "file").read_text() == "mine"
