"""What an archive holds is what the segmenter gives for each frame; it is there once, whatever was interrupted."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from archive_cases import encoded

from segrt.runtime import open_bundle
from segrt.runtime.results import rle
from segrt.runtime.scale.archive import clip_worker
from segrt.runtime.scale.archive.archive_command import Archived
from segrt.runtime.streetworld.moments import Clip, scattered
from segrt.runtime.streetworld.writing import write_dataset, write_video

pq = pytest.importorskip("pyarrow.parquet", reason="archives need pyarrow: pip install 'segrt[archive]'")

Archive = Callable[..., Archived]


def table(out: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / name).to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row.get("frame", 0)))


def expected(bundle: str, path: Path) -> list[dict[str, Any]]:
    """The rows of a video, made here of what `segmenter.stream` yields."""
    rows = []
    with open_bundle(bundle, threads=1) as segmenter:
        for frame, result in segmenter.stream(path):
            for item in result:
                row = {"frame": frame.index, "pts": frame.pts, "class_id": item.class_id, "class": item.name}
                if segmenter.technique == "panoptic":
                    x, y, width, height = item.bbox
                    code, box = rle.encode(result.segment_ids == item.id), [x, y, x + width, y + height]
                    row |= {"score": item.score, "segment_id": item.id}
                elif segmenter.technique == "instance":
                    code, box = item.rle, list(item.box)
                    row |= {"score": item.score, "segment_id": None}
                else:
                    code = rle.encode(result.class_map == item.class_id)
                    ys, xs = np.nonzero(result.class_map == item.class_id)
                    box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
                    row |= {"score": None, "segment_id": None}
                row |= {"rle": rle.text(code), "box": [float(edge) for edge in box], "area": item.area}
                rows.append({"source": str(path), "track_id": None, **row})
    return rows


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A moving street of 6 frames, and pictures of three."""
    folder = tmp_path_factory.mktemp("street")
    write_video(folder / "street.mp4", Clip(seed=900_000, frames=6, size=(96, 160), fps=25.0), 25.0)
    write_dataset(folder / "set", scattered(7, 3, (96, 160)))
    return folder


@pytest.mark.parametrize("technique", ["semantic", "instance", "panoptic"])
def test_rows_are_the_results_of_the_segmenter_alone(
    technique: str, street: Path, archive: Archive, tmp_path: Path
) -> None:
    bundle, path = f"street-{technique}", street / "street.mp4"
    done = archive(bundle, path, out=tmp_path / "out")
    assert (done.totals.frames, done.totals.failures) == (6, 0)
    wanted = expected(bundle, path)
    assert len(wanted) > 10
    assert table(tmp_path / "out", "segments") == wanted
    frames = table(tmp_path / "out", "frames")
    assert [row["frame"] for row in frames] == list(range(6))
    assert {(row["width"], row["height"]) for row in frames} == {(160, 96)}
    assert sum(row["segments"] for row in frames) == len(wanted)


def test_the_real_clips_give_what_a_stream_gives(
    fixtures: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    path, bundle = fixtures / "video" / "car-detection.mp4", str(tiny.bundle("query_instances"))
    archive(bundle, path, out=tmp_path / "out", seconds=5.0, every=4)
    wanted = [row for row in expected(bundle, path) if row["frame"] % 4 == 0]
    assert len(wanted) > 100
    assert table(tmp_path / "out", "segments") == wanted
    assert len(table(tmp_path / "out", "index")) == 4


def test_pictures_are_sources_of_one_frame_and_empty_ones_count(
    archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path / "pictures" / "deep"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "b.png"), tiny.thirds(24, 48))
    cv2.imwrite(str(folder / "a.png"), np.zeros((24, 48, 3), np.uint8))
    (folder / "notes.txt").write_text("no picture")
    done = archive(tiny.bundle("query_instances"), tmp_path / "pictures", out=tmp_path / "out")
    assert done.totals.clips == 1
    assert archive.said == ["left out: 1 file with the name of neither picture nor video"]  # type: ignore[attr-defined]
    frames = table(tmp_path / "out", "frames")
    assert [(Path(row["source"]).name, row["frame"], row["pts"]) for row in frames] == [
        ("a.png", 0, None), ("b.png", 0, None),
    ]  # fmt: skip
    summary = {Path(row["source"]).name: row for row in pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist()}
    assert summary["a.png"]["empty_frames"] + summary["b.png"]["empty_frames"] == sum(not r["segments"] for r in frames)
    assert summary["b.png"]["segments"] > 0


def test_an_interrupted_run_goes_on_with_what_is_missing(
    clip: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, out, whole = tiny.bundle("query_instances"), tmp_path / "out", tmp_path / "whole"
    archive(bundle, clip, out=whole)
    really, calls = clip_worker.ClipWorker.do, []

    def interrupted(self: Any, task: Any) -> Any:
        calls.append(task)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return really(self, task)

    with monkeypatch.context() as patch:
        patch.setattr(clip_worker.ClipWorker, "do", interrupted)
        assert archive(bundle, clip, out=out).interrupted is not None
    assert not (out / "sources.parquet").exists()
    stamps = {path: path.stat().st_mtime_ns for path in (out / "frames").iterdir()}
    assert len(stamps) == 2
    orphan = out / "segments" / "clip-of-a-killed-worker.parquet"
    orphan.write_bytes(b"half")
    os.utime(orphan, (0, 0))
    done = archive(bundle, clip, out=out)
    assert (done.totals.clips, done.totals.done, done.totals.frames) == (3, 5, 24)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    for name in ("segments", "frames"):
        assert table(out, name) == table(whole, name)
    assert archive(bundle, clip, out=out).totals.clips == 0
    assert table(out, "frames") == table(whole, "frames")


def test_segments_whose_frames_may_still_come_are_kept(
    clip: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    out, bundle = tmp_path / "out", tiny.bundle("query_instances")
    archive(bundle, clip, out=out)
    fresh = out / "segments" / "clip-of-another-command.parquet"
    shutil.copy(next((out / "segments").iterdir()), fresh)
    archive(bundle, clip, out=out)
    assert fresh.exists()


def test_a_worker_that_was_given_up_does_not_double_its_clip(
    clip: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    archive(tiny.bundle("query_instances"), clip, out=out)
    crew = archive.crews[-1]  # type: ignore[attr-defined]
    task = crew.done[-1]
    outcome = crew.worker.do(task)
    assert (outcome.kept, outcome.frames) == (True, 8)


def test_new_pictures_of_a_folder_are_added_and_others_stay(
    archive: Archive, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2 = pytest.importorskip("cv2")
    monkeypatch.setattr("segrt.runtime.scale.archive.archive_plan.PICTURES_OF_A_CLIP", 2)
    folder, out, bundle = tmp_path / "pictures", tmp_path / "out", tiny.bundle("argmax")
    folder.mkdir()
    for name in "bdf":
        cv2.imwrite(str(folder / f"{name}.png"), tiny.thirds(24, 48))
    assert archive(bundle, folder, out=out).totals.clips == 2
    for name in "ace":
        cv2.imwrite(str(folder / f"{name}.png"), tiny.thirds(24, 48))
    assert archive(bundle, folder, out=out).totals.clips == 2
    assert [Path(row["source"]).stem for row in table(out, "frames")] == list("abcdef")


def test_a_file_that_changed_is_a_failure_and_keeps_its_rows(
    clip: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    path, out, bundle = tmp_path / "cam.mp4", tmp_path / "out", tiny.bundle("argmax")
    shutil.copy(clip, path)
    archive(bundle, path, out=out)
    before = table(out, "frames")
    encoded(path, frames=48)
    done = archive(bundle, path, out=out)
    assert done.totals.failures == 1
    assert f"{path}: has changed since it was archived" in table(out, "failures")[0]["message"]
    assert table(out, "frames") == before


@pytest.mark.parametrize("name", ["cam.mp4", "a.png"])
def test_a_file_without_rows_that_changes_is_new(
    name: str, clip: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2 = pytest.importorskip("cv2")
    path, out, bundle = tmp_path / name, tmp_path / "out", tiny.bundle("argmax")
    shutil.copy(clip, path) if name == "cam.mp4" else cv2.imwrite(str(path), tiny.thirds(24, 48))

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clip_worker.ClipWorker, "_segmented", interrupted)
        assert archive(bundle, path, out=out).interrupted is not None
    encoded(path, frames=48) if name == "cam.mp4" else cv2.imwrite(str(path), tiny.thirds(36, 48))
    done = archive(bundle, path, out=out)
    assert (done.totals.frames, done.totals.failures) == (48 if name == "cam.mp4" else 1, 0)


def test_a_changed_file_that_is_what_it_was_is_no_failure(
    clip: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    path, out, bundle = tmp_path / "cam.mp4", tmp_path / "out", tiny.bundle("argmax")
    shutil.copy2(clip, path)
    archive(bundle, path, out=out)
    encoded(path, frames=48)
    assert archive(bundle, path, out=out).totals.failures == 1
    shutil.copy2(clip, path)
    assert archive(bundle, path, out=out).totals.failures == 0
    assert list((out / "failures").iterdir()) == []


def test_a_broken_file_among_good_ones_ends_nothing(
    clip: Path, archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    folder, out, bundle = tmp_path / "cams", tmp_path / "out", tiny.bundle("argmax")
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"\0" * 1000)
    (folder / "b.jpg").write_bytes(b"\xff\xd8 cut")
    (folder / "c.mp4").symlink_to("nowhere")
    shutil.copy(clip, folder / "d.mp4")
    done = archive(bundle, folder, out=out)
    assert (done.totals.frames, done.totals.failures, done.totals.damaged) == (40, 3, 0)
    failures = {Path(row["source"]).name: row for row in table(out, "failures")}
    assert sorted(failures) == ["a.mp4", "b.jpg", "c.mp4"]
    assert "cannot be read" in failures["c.mp4"]["message"]
    assert {row["kind"] for row in failures.values()} == {"unreadable"}
    shutil.copy(clip, folder / "a.mp4")
    assert archive(bundle, folder, out=out).totals.frames == 40
    assert sorted(Path(row["source"]).name for row in table(out, "failures")) == ["b.jpg", "c.mp4"]


def test_a_picture_that_could_not_be_read_is_tried_again(
    archive: Archive, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    cv2 = pytest.importorskip("cv2")
    folder, out, bundle = tmp_path / "pictures", tmp_path / "out", tiny.bundle("argmax")
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), tiny.thirds(24, 48))
    for name in ("b.jpg", "c.jpg"):
        (folder / name).write_bytes(b"\xff\xd8 cut")
    assert archive(bundle, folder, out=out).totals.frames == 1
    again = archive(bundle, folder, out=out).totals
    assert (again.frames, again.failures, len(table(out, "failures"))) == (0, 2, 2)
    cv2.imwrite(str(folder / "b.jpg"), tiny.thirds(24, 48))
    assert archive(bundle, folder, out=out).totals.frames == 1
    assert [Path(row["source"]).name for row in table(out, "frames")] == ["a.png", "b.jpg"]
    assert [Path(row["source"]).name for row in table(out, "failures")] == ["c.jpg"]
    cv2.imwrite(str(folder / "c.jpg"), tiny.thirds(24, 48))
    assert archive(bundle, folder, out=out).totals.frames == 1
    assert archive(bundle, folder, out=out).totals.clips == 0
    assert [Path(row["source"]).name for row in table(out, "frames")] == ["a.png", "b.jpg", "c.jpg"]
    assert list((out / "failures").iterdir()) == []
