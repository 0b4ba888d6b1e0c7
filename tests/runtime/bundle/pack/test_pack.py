"""A pack is one file that any zip tool reads, equal for equal bundles, and gives back what went in."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.bundle.pack.writer import write_pack
from segrt.runtime.cli import main
from segrt.runtime.errors import BundleError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_packs_of_one_bundle_are_equal_byte_for_byte(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = tiny.bundle("argmax")
    first = write_pack(read_bundle(folder), tmp_path / "first.segrt")
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    for name in sorted(contents(folder), reverse=True):  # another order on disk, other times, other modes
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / name, copy / name)
        (copy / name).chmod(0o600)
        os.utime(copy / name, (1_000_000_000, 1_000_000_000))
    second = write_pack(read_bundle(copy), tmp_path / "second.segrt")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256


def test_unpacking_gives_the_bundle_back(small_pack: Path, tmp_path: Path) -> None:
    with Pack(small_pack) as pack:
        out = pack.extract(tmp_path / "out" / "bundle")
    assert contents(out) == contents(tmp_path / "bundle-argmax")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bundle"]


def test_any_zip_tool_reads_a_pack_and_its_files_are_stored_and_aligned(small_pack: Path, tmp_path: Path) -> None:
    bundle = contents(tmp_path / "bundle-argmax")
    with zipfile.ZipFile(small_pack) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist() if name != "pack.json"} == bundle
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    data = small_pack.read_bytes()
    for content in bundle.values():
        assert data.find(content) % 64 == 0


def test_only_the_chosen_variants_are_packed(tmp_path: Path) -> None:
    source = read_bundle("street-semantic")
    folder = tmp_path / "two"
    shutil.copytree(source.folder, folder)
    shutil.copy(folder / "model.fp32.onnx", folder / "model.fp16.onnx")
    manifest = json.loads((folder / "manifest.json").read_text())
    other = json.loads(json.dumps(manifest["variants"][0]))
    other["precision"], other["file"]["path"] = "fp16", "model.fp16.onnx"
    manifest["variants"].append(other)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    both = write_pack(read_bundle(folder), tmp_path / "both.segrt")
    one = write_pack(read_bundle(folder), tmp_path / "one.segrt", precisions=["fp16"])
    assert both.variants == ("fp32", "fp16")
    assert one.variants == ("fp16",)
    with Pack(one.path) as pack:
        pack.check()
        assert [file.path for file in pack.index.files if file.path.endswith(".onnx")] == ["model.fp16.onnx"]
    with pytest.raises(BundleError, match="has no variant of precision 'int8'; it has fp32, fp16"):
        write_pack(read_bundle(folder), tmp_path / "none.segrt", precisions=["int8"])
    assert not (tmp_path / "none.segrt").exists()


def test_a_damaged_bundle_is_not_packed(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = tiny.bundle("argmax")
    data = bytearray((folder / "golden/thirds.png").read_bytes())
    data[-1] ^= 1
    (folder / "golden/thirds.png").write_bytes(data)
    with pytest.raises(BundleError, match=r"golden/thirds\.png: is not what the manifest says; copy the bundle again"):
        write_pack(read_bundle(folder), tmp_path / "x.segrt")
    assert list(tmp_path.glob("*.segrt*")) == []


def test_a_pack_is_opened_like_a_bundle(tiny: SimpleNamespace, small_pack: Path, own_cache: Path) -> None:
    image = tiny.thirds(24, 48)
    with open_bundle(small_pack, threads=1) as segmenter:
        assert segmenter(image).class_map.tolist()[0][::24] == [0, 1]
        unpacked = segmenter.bundle.folder
    assert own_cache in unpacked.parents
    before = unpacked.stat().st_ino
    read_bundle(small_pack)
    assert unpacked.stat().st_ino == before, "unpacked again although it was there"
    (unpacked / "model.fp32.onnx").write_bytes(b"short")
    with open_bundle(small_pack, threads=1) as segmenter:
        assert segmenter(image).class_map.shape == (24, 48)


@pytest.mark.parametrize("times_kept", [False, True])
def test_a_damaged_pack_is_refused_although_it_was_opened_before(
    small_pack: Path, times_kept: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = read_bundle(small_pack).folder
    network = (unpacked / "model.fp32.onnx").read_bytes()
    data = bytearray(small_pack.read_bytes())
    data[data.find(network) + len(network) // 2] ^= 1
    times = small_pack.stat()
    small_pack.write_bytes(data)
    if times_kept:
        os.utime(small_pack, ns=(times.st_atime_ns, times.st_mtime_ns))
    monkeypatch.setattr("sys.argv", ["segrt", "verify", str(small_pack)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "small.segrt: is no whole pack: 'model.fp32.onnx' in it was changed" in err
    assert err.count("\n") == 1
    with pytest.raises(BundleError, match=r"is no whole pack: 'model\.fp32\.onnx' in it was changed"):
        read_bundle(small_pack)


def test_an_unchanged_pack_is_hashed_once_and_a_copy_of_it_again(
    small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    check = Pack.check
    monkeypatch.setattr(Pack, "check", lambda pack: (hashed.append(pack.path), check(pack)))
    read_bundle(small_pack)
    read_bundle(small_pack)
    assert hashed == []  # unpacking hashes, and the second time nothing is to be done
    copy = Path(shutil.copy(small_pack, tmp_path / "copy.segrt"))
    assert read_bundle(copy).folder == read_bundle(copy).folder == read_bundle(small_pack).folder
    assert hashed == [copy]


def test_a_pack_is_opened_where_the_cache_cannot_be_written(
    tiny: SimpleNamespace, small_pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGRT_CACHE", "/dev/null/nowhere")
    with open_bundle(small_pack, threads=1) as segmenter:
        assert segmenter(tiny.thirds(8, 8)).class_map.shape == (8, 8)


def test_nothing_is_overwritten_unasked(small_pack: Path, tmp_path: Path) -> None:
    bundle = read_bundle(tmp_path / "bundle-argmax")
    with pytest.raises(BundleError, match=r"small\.segrt: is already there; choose another file or add --overwrite"):
        write_pack(bundle, small_pack)
    write_pack(bundle, small_pack, overwrite=True)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "precious").write_text("data")
    with Pack(small_pack) as pack:
        with pytest.raises(BundleError, match="taken: is already there; choose another folder or add --overwrite"):
            pack.extract(taken)
        with pytest.raises(BundleError, match="taken: is there and is no bundle, so it is not overwritten"):
            pack.extract(taken, overwrite=True)
        out = pack.extract(tmp_path / "fresh")
        assert pack.extract(out, overwrite=True) == out
    assert contents(taken) == {"precious": b"data"}
