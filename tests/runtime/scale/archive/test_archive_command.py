"""`segrt archive` as it is called: what it refuses, in one line, and what it prints."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_calls import Segrt, fails

from segrt.runtime.errors import SegrtError
from segrt.runtime.scale.archive import archive_command, archive_store
from segrt.runtime.scale.archive.archive_command import Archived
from segrt.runtime.scale.archive.archive_sources import find_sources
from segrt.runtime.scale.archive.archive_store import ArchiveStore
from segrt.runtime.scale.archive.file_systems import open_address

pq = pytest.importorskip("pyarrow.parquet", reason="archives need pyarrow: pip install 'segrt[archive]'")


@pytest.fixture
def bundle(tiny: SimpleNamespace) -> Path:
    return tiny.bundle("query_instances")


def test_it_archives_by_two_processes_and_says_what(segrt: Segrt, bundle: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, err = segrt("archive", bundle, clip, "--out", out, "--workers", 2, "--clip-seconds", "700ms")
    assert code == 0, err
    assert "error" not in err
    assert said.startswith(f"{out}: 40 frames with ")
    assert "from 5 clips" in said
    assert len(list((out / "frames").iterdir())) == 5
    record = json.loads((out / "dataset.json").read_text())
    assert (record["technique"], record["every"]) == ("instance", 1)


def test_another_bundle_threshold_or_length_is_refused(
    segrt: Segrt, bundle: Path, tiny: SimpleNamespace, clip: Path, tmp_path: Path, archive: Callable[..., Archived]
) -> None:
    begun = ("archive", bundle, clip, "--out", tmp_path / "out")
    archive(bundle, clip, out=tmp_path / "out", seconds=60.0)
    other = tiny.bundle("argmax")
    fails(segrt("archive", other, *begun[2:]), 2, "holds results of bundle 'tiny-query_instances'")
    fails(segrt(*begun, "--score-threshold", 0.25), 2, "was begun with score_threshold", "now it is 0.25")
    fails(segrt(*begun, "--clip-seconds", "5s"), 2, "was begun with --clip-seconds 60.0, now it is 5.0")
    fails(segrt(*begun, "--every", 2), 2, "was begun with --every 1, now it is 2")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "2.0", "segrt": "9.9"}, "is a dataset of format '2.0', by segrt 9.9"),
        ({"segrt": "9.9"}, "was begun by segrt 9.9"),
        ({"kind": "other"}, "is not one of `segrt archive`"),
        ({"labels": 3}, "cannot be read"),
    ],
)
def test_a_dataset_of_another_segrt_is_refused(
    change: dict[str, object], said: str, segrt: Segrt, bundle: Path, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    begun = ("archive", bundle, clip, "--out", out)
    ArchiveStore(str(out)).prepare(())
    out.mkdir(exist_ok=True)
    from segrt.runtime.scale.archive.archive_dataset import begin_dataset, new_record
    from segrt.runtime.segmenter import find_bundle

    record = new_record(find_bundle(bundle), "0", "fp32", {}, clip_seconds=60.0, every=1)
    begin_dataset(ArchiveStore(str(out)), record)
    path = out / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    fails(segrt(*begun), 2, str(out), said)


def test_a_folder_with_something_else_is_refused(segrt: Segrt, bundle: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    fails(segrt("archive", bundle, clip, "--out", out), 2, f"{out}: holds thesis.tex, and no dataset")
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    fails(segrt("archive", bundle, clip, "--out", out / "thesis.tex"), 2, "thesis.tex")


def test_what_is_not_there_is_said(segrt: Segrt, bundle: Path, clip: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    fails(segrt("archive", bundle, tmp_path / "none", *out), 2, "there is no such file or folder")
    fails(segrt("archive", bundle, tmp_path / "*.mp4", *out), 2, "matches no picture or video")
    (tmp_path / "empty").mkdir()
    fails(segrt("archive", bundle, tmp_path / "empty", *out), 2, "holds no picture or video")
    fails(segrt("archive", bundle, "strange://there/x", *out), 2, "strange://there/x: cannot be opened")
    fails(segrt("archive", "no-bundle", clip, *out), 2, "no-bundle")
    fails(segrt("archive", bundle, clip, *out, "--gpus-per-worker", "1"), 2, "--gpus-per-worker 1")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("module", "option"), [("pyarrow", ()), ("ray", ("--address", "local"))])
def test_an_extra_that_is_missing_is_named(
    module: str, option: tuple[str, ...], segrt: Segrt, bundle: Path, clip: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("pyarrow", "pyarrow.fs", "pyarrow.parquet") if module == "pyarrow" else ("ray",):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    open_address.cache_clear()
    extra = "archive" if module == "pyarrow" else "ray"
    fails(segrt("archive", bundle, clip, "--out", tmp_path / "o", *option), 2, f"pip install 'segrt[{extra}]'")


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_nothing_that_could_be_read_is_an_error(name: str, segrt: Segrt, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\0" * 1000)
    code, _, err = segrt("archive", bundle, tmp_path / name, "--out", tmp_path / "out")
    assert code == 2
    assert err.count("\n") == 1
    assert "nothing could be archived, 1 failure; first: " in err


def test_a_full_disk_ends_the_run_in_one_line_and_keeps_what_is_there(
    bundle: Path, clip: Path, tmp_path: Path, archive: Callable[..., Archived], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    really, parts = archive_store.PartWriter.close, []

    def full(self: archive_store.PartWriter) -> None:
        parts.append(1)
        if len(parts) > 6:
            raise OSError(28, "No space left on device")
        really(self)

    with monkeypatch.context() as patch:
        patch.setattr(archive_store.PartWriter, "close", full)
        with pytest.raises(SegrtError, match=r"No space left on device.*make room") as ended:
            archive(bundle, clip, out=out)
    assert "\n" not in str(ended.value)
    assert sorted(path.suffix for path in (out / "frames").iterdir()) == [".parquet"] * 2
    assert archive(bundle, clip, out=out).totals.done == 5


def test_a_part_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    from segrt.runtime.scale.archive.row_tables import FRAMES, schema_of

    store = ArchiveStore(str(tmp_path))
    store.prepare((FRAMES,))
    with pytest.raises(ZeroDivisionError), store.new_part(FRAMES, "clip-x", schema_of(FRAMES)):
        raise ZeroDivisionError
    assert list((tmp_path / FRAMES).iterdir()) == []
    (tmp_path / FRAMES / "clip-y.parquet").write_bytes(b"no parquet")
    with pytest.raises(SegrtError, match=r"frames/clip-y.parquet cannot be read"):
        store.read(FRAMES, "clip-y")


def test_a_part_for_an_address_has_no_name_until_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segrt.runtime.scale.archive.row_tables import FRAMES, schema_of

    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    store = ArchiveStore(str(tmp_path / "far"))
    store.prepare((FRAMES,))
    monkeypatch.setattr(store, "_local", False)
    with store.new_part(FRAMES, "clip-x", schema_of(FRAMES)):
        assert list(aside.iterdir()) == list((tmp_path / "far" / FRAMES).iterdir()) == []
    assert store.read(FRAMES, "clip-x").num_rows == 0


def test_sources_and_dataset_behind_an_address_are_as_those_on_a_disk(
    archive: Callable[..., Archived], bundle: Path, clip: Path, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    import cv2

    scheme = "fsspec+file://"
    try:
        open_address(f"{scheme}{tmp_path}")
    except SegrtError:
        pytest.skip("this pyarrow has no file system of fsspec's")
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(clip, there / "clip.mp4")
    cv2.imwrite(str(there / "picture.png"), tiny.thirds(24, 48))
    (there / "broken.mp4").write_bytes(b"\0" * 999)
    archive(bundle, there, out=tmp_path / "disk")
    asked = (bundle, f"{scheme}{there}/*.*")
    done = archive(*asked, out=f"{scheme}{tmp_path}/far")
    assert (done.totals.frames, done.totals.failures, done.out) == (41, 1, f"{scheme}{tmp_path}/far")
    assert archive(*asked, out=f"{scheme}{tmp_path}/far").totals.clips == 0
    for table in ("segments", "frames", "failures", "sources.parquet"):
        near, far = (
            sorted(
                str({**row, "source": row["source"].replace(scheme, ""), "clip": "", "message": ""})
                for row in pq.read_table(tmp_path / place / table).to_pylist()
            )
            for place in ("disk", "far")
        )
        assert near == far
        assert len(near) > 0


def test_addresses_and_patterns_name_what_paths_name(clip: Path, tmp_path: Path) -> None:
    for name in ("a/x.mp4", "a/b/y.mp4", "a/b/z.png", "a/.hidden/v.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip.read_bytes())
    names = [str(tmp_path / name) for name in ("a/b/y.mp4", "a/b/z.png", "a/x.mp4")]
    for source in (tmp_path, f"file://{tmp_path}", tmp_path / "**" / "*.*", f"file://{tmp_path}/**/*.*"):
        assert sorted(file.name for file in find_sources([str(source)]).files) == names
    twice = find_sources([names[2], f"file://{tmp_path}/a"])
    assert [file.name for file in twice.files] == [names[2], *names[:2]]
    assert [file.kind for file in twice.files] == ["video", "video", "picture"]


@pytest.mark.parametrize(
    ("visible", "count", "gpus"),
    [
        (None, 4, ("0", "0", "1", "1")),
        ("2, 3", 4, ("2", "2", "3", "3")),
        ("GPU-a,-1,1", 2, ("GPU-a", "GPU-a")),
        ("2", 3, None),
        ("", 1, None),
    ],
)
def test_workers_share_the_gpus_that_may_be_used(
    visible: str | None, count: int, gpus: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_command, "gpu_files", lambda: tuple(f"/dev/nvidia{number}" for number in range(4)))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if gpus is None:
        with pytest.raises(SegrtError, match=f"{count} workers need .* but here are"):
            archive_command._gpus_of(0.5, count)
    else:
        assert archive_command._gpus_of(0.5, count) == gpus


def test_a_pattern_behind_an_address_that_is_none_is_said() -> None:
    from segrt.runtime.scale.archive import archive_sources

    with pytest.raises(SegrtError, match=r"\[z-a\]\*\.mp4: is no pattern") as refused:
        archive_sources._matcher("[z-a]*.mp4")
    assert "\n" not in str(refused.value)
