"""A live stream that starts again loses nothing that an earlier run has recorded, however that one ended."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from segrt.runtime.outputs.rotation import RotatedFiles
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream import run_stream

pytestmark = pytest.mark.timeout(120)

CLI = """
import sys
sys.path.insert(0, {here!r})
import conftest
import segrt.runtime.segmenter
segrt.runtime.segmenter.open_bundle = lambda *_, **__: conftest.PanopticSegmenter()
from segrt.runtime.cli import main
main()
"""


def plain(image, _):
    return image


def live(fakes, count=4, source_id="cam"):
    return fakes.ListSource(count, source_id=source_id, live=True, size=(32, 48), seconds=0.005)


def contents(folder: Path):
    """Return a digest of every file below `folder`."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


NAMES = [
    ("out.mp4", ["out.mp4", "out-00001.mp4", "out-00002.mp4"]),
    ("out.jsonl", ["out.jsonl", "out-00001.jsonl", "out-00002.jsonl"]),
    ("out.json", ["out.json", "out-00001.json", "out-00002.json"]),
    ("out", ["out/000003.jpg", "out-00001/000003.jpg", "out-00002/000003.jpg"]),
    ("f-%04d.png", ["f-0003.png", "f-00001-0003.png", "f-00002-0003.png"]),
    ("sub/%d.png", ["sub/3.png", "sub/00001-3.png", "sub/00002-3.png"]),
]


@pytest.mark.parametrize(("spec", "names"), NAMES)
def test_each_start_of_a_live_stream_takes_names_of_its_own_and_says_so(
    fakes, tmp_path, caplog, spec, names, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = {}
    for run, name in enumerate(names):
        caplog.clear()
        with fakes.PanopticSegmenter() as segmenter:
            metrics = run_stream(segmenter, live(fakes), [spec], policy="all", draw=plain)
        (counts,) = metrics.sinks.values()
        assert (counts.written, counts.failures) == (4, 0)
        after = contents(tmp_path)
        assert name in after
        assert {path: after.get(path) for path in before} == before, "nothing of an earlier run has changed"
        said = [
            record.message
            for record in caplog.records
            if "holds an earlier recording; this run writes" in record.message
        ]
        assert len(said) == (run > 0)
        before = after


def test_several_sources_go_on_in_files_and_folders_of_their_own(segmenter, fakes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {}
    for _ in range(2):
        sources = [live(fakes, source_id="a"), live(fakes, source_id="b")]
        run_stream(segmenter, sources, ["out.mp4", "pictures"], policy="all", draw=plain)
        after = contents(tmp_path)
        assert {path: after.get(path) for path in before} == before
        before = after
    names = {name for name in before if not name.endswith(".jpg")}
    assert names == {"out-a.mp4", "out-b.mp4", "out-a-00001.mp4", "out-b-00001.mp4"}
    assert {str(Path(name).parent) for name in before if name.endswith(".jpg")} == {
        f"{folder}/{source}" for folder in ("pictures", "pictures-00001") for source in "ab"
    }


def test_a_file_without_a_byte_is_no_recording(tmp_path):
    options = SinkOptions(live=True)
    for name in ("out.mp4", "out-00001.mp4", "out-00002.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert RotatedFiles(tmp_path / "out.mp4", options).next() == tmp_path / "out.mp4"
    (tmp_path / "out.mp4").write_bytes(b"x")
    (tmp_path / "out-00001.mp4").write_bytes(b"x")
    assert RotatedFiles(tmp_path / "out.mp4", options).next() == tmp_path / "out-00002.mp4"
    (tmp_path / "out-00041.mp4").write_bytes(b"x")
    assert RotatedFiles(tmp_path / "out.mp4", options).next() == tmp_path / "out-00042.mp4"


def test_a_finite_source_writes_its_file_anew(segmenter, fakes, tmp_path):
    for count in (5, 3):
        run_stream(segmenter, fakes.ListSource(count), [tmp_path / "out.jsonl"])
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def kill_after_lines(folder: Path, lines: Path, count: int) -> str:
    """Start a stream into every kind of file, kill it when `lines` has so many lines; return its standard error."""
    sinks = [
        part for name in ("out.mp4", "out.jsonl", "out.json", "pictures", "f-%04d.png") for part in ("--sink", name)
    ]
    code = CLI.format(here=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-c", code, "stream", "bundle", "street://?fps=50&width=64&height=48", *sinks],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (lines.exists() and lines.read_bytes().count(b"\n") >= count):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    return said


def test_nothing_recorded_is_lost_when_the_stream_is_killed_and_started_again(tmp_path):
    """As systemd does with Restart=always."""
    unfinished = ".unfinished.jsonl"
    before, journals = {}, {}
    for run, name in enumerate(("out.jsonl", "out-00001.jsonl", "out-00002.jsonl")):
        said = kill_after_lines(tmp_path, tmp_path / name, 12)
        assert said.count("holds an earlier recording") == (5 if run else 0), said
        after = contents(tmp_path)
        kept = {path: digest for path, digest in before.items() if not path.endswith(unfinished)}
        assert {path: after.get(path) for path in kept} == kept
        for path, entries in journals.items():
            finished = json.loads((tmp_path / path.replace(unfinished, ".json")).read_text())
            assert len(finished["images"]) == entries
        journals = {
            path: (tmp_path / path).read_bytes().count(b'\n{"image"') for path in after if path.endswith(unfinished)
        }
        assert len(journals) == 1
        before = after
    for name in ("out.mp4", "out-00001.mp4", "out-00002.mp4"):
        with av.open(str(tmp_path / name)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 0
    for stem in ("out", "out-00001", "out-00002"):
        lines = [json.loads(line) for line in (tmp_path / f"{stem}.jsonl").read_text().splitlines()]
        assert len(lines) >= 12
        assert lines[0]["index"] == 0, "each file is one run"
