"""Outputs that are deleted, moved away or unmounted in mid-run are noticed, counted, said once, and begun again."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.place import Anchor, Disk
from segrt.runtime.stream import run_stream
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.recorder import Recorder

pytestmark = pytest.mark.timeout(60)
FRAMES, MOMENT = 60, 20
KINDS = {"mp4": "out.mp4", "jsonl": "out.jsonl", "coco": "out.json", "pictures": "frames", "pattern": "f-%04d.png"}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(Backoff.__init__, "__defaults__", (0.05, 0.1))


@pytest.fixture(autouse=True)
def handled(monkeypatch):
    """Return a list that gets an entry for each frame that the sink has written or left out."""
    frames: list[str] = []
    count = Recorder.sink

    def noting(self, name, *, written=0, dropped=0, failures=0):
        count(self, name, written=written, dropped=dropped, failures=failures)
        frames.extend([name] * (written + dropped))

    monkeypatch.setattr(Recorder, "sink", noting)
    return frames


def noisy(image, _):
    return np.random.default_rng(0).integers(0, 255, image.shape, np.uint8)


def run(fakes, handled, sink, events, *, live=True):
    """Run a stream of `FRAMES` frames into `sink`; `events`: frame → what happens before it.

    However slow the machine is, a frame comes only when the sink has handled all but a few: none is lost for lack of
    time, but those of the outage.
    """

    class Eventful(fakes.ListSource):
        def frames(self):
            for frame in super().frames():
                give_up = time.monotonic() + 20
                while frame.index - len(handled) > 5 and time.monotonic() < give_up:
                    time.sleep(0.002)
                events.get(frame.index, lambda: None)()
                yield frame

    source = Eventful(FRAMES, seconds=0.01, live=live, size=(32, 48))
    with fakes.PanopticSegmenter() as segmenter:
        return run_stream(segmenter, source, [sink], policy="all", draw=noisy)


def results_in(folder: Path) -> int:
    """Return how many results are in the files of a folder; each must be whole, and none empty."""
    count = 0
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        assert path.stat().st_size > 0, path
        if path.suffix == ".mp4":
            with av.open(str(path)) as container:
                count += sum(1 for _ in container.decode(video=0))
        elif path.name.endswith(".unfinished.jsonl"):
            continue
        elif path.suffix == ".jsonl":
            count += len([json.loads(line) for line in path.read_text().splitlines()])
        elif path.suffix == ".json":
            count += len(json.loads(path.read_text())["images"])
        elif (path.parent.with_suffix(".json")).exists() or path.parent.name.startswith("out"):
            continue  # a PNG of a data set
        else:
            count += 1
    return count


def delete(folder: Path) -> None:
    """Delete a folder that is written to meanwhile."""
    aside = folder.rename(folder.with_name("trash"))
    while aside.exists():
        shutil.rmtree(aside, ignore_errors=True)


def check_outage(metrics, caplog, reason="was deleted or replaced"):
    (counts,) = metrics.sinks.values()
    assert counts.failures == 1
    assert counts.dropped >= 1
    assert counts.written + counts.dropped == FRAMES
    assert counts.written >= FRAMES // 2
    assert sum(reason in record.message for record in caplog.records) == 1
    assert sum("works again" in record.message for record in caplog.records) == 1
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_deleted_is_made_again(fakes, handled, tmp_path, caplog, kind):
    place = tmp_path / "recordings"
    metrics = run(fakes, handled, place / KINDS[kind], {MOMENT: lambda: delete(place)})
    counts = check_outage(metrics, caplog)
    assert 0 < results_in(place) <= counts.written - MOMENT // 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_moved_away_keeps_what_it_has_and_a_new_one_is_begun(fakes, handled, tmp_path, caplog, kind):
    place, moved = tmp_path / "recordings", tmp_path / "moved"

    def move():
        place.rename(moved)
        place.mkdir()

    metrics = run(fakes, handled, place / KINDS[kind], {MOMENT: move})
    counts = check_outage(metrics, caplog)
    now = results_in(place)
    assert now > 0
    if kind == "coco":  # the lines of its JSON lie beside the pictures, for whoever moves them back
        lines = (moved / "out.unfinished.jsonl").read_bytes().count(b'\n{"image"')
        assert lines + now == counts.written
    else:
        # The one that was on its way when the folder went is counted as lost, and may have come with it.
        assert counts.written <= results_in(moved) + now <= counts.written + 1
        assert results_in(moved) >= MOMENT // 2


@pytest.mark.parametrize("kind", ["mp4", "jsonl", "coco"])
def test_a_file_that_is_deleted_is_noticed(fakes, handled, tmp_path, caplog, kind):
    name = "out.unfinished.jsonl" if kind == "coco" else KINDS[kind]
    metrics = run(fakes, handled, tmp_path / KINDS[kind], {MOMENT: (tmp_path / name).unlink})
    counts = check_outage(metrics, caplog)
    assert 0 < results_in(tmp_path) <= counts.written - MOMENT // 2


@pytest.mark.parametrize("kind", ["mp4", "jsonl"])
def test_a_file_that_takes_its_place_is_not_touched(fakes, handled, tmp_path, caplog, kind):
    path = tmp_path / KINDS[kind]

    def replace():
        path.rename(tmp_path / f"kept{path.suffix}")
        path.write_bytes(b"somebody else's")

    metrics = run(fakes, handled, path, {MOMENT: replace})
    check_outage(metrics, caplog)
    assert path.read_bytes() == b"somebody else's"
    path.unlink()
    assert (tmp_path / f"out-00001{path.suffix}").exists()
    assert results_in(tmp_path) == metrics.sinks[kind].written


def test_the_folder_of_pngs_belongs_to_the_data_set(fakes, handled, tmp_path, caplog):
    metrics = run(fakes, handled, tmp_path / "out.json", {MOMENT: lambda: shutil.rmtree(tmp_path / "out")})
    check_outage(metrics, caplog)
    assert len(json.loads((tmp_path / "out-00001.json").read_text())["images"]) > 0


@pytest.mark.parametrize("kind", ["mp4", "jsonl", "coco", "pictures"])
def test_of_a_file_the_run_ends_where_its_output_is_gone(fakes, handled, tmp_path, kind):
    place = tmp_path / "recordings"
    with pytest.raises(VideoError, match=r"was deleted or replaced|cannot be written"):
        run(fakes, handled, place / KINDS[kind], {MOMENT: lambda: delete(place)}, live=False)


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own, which can be mounted and unmounted."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount():
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], check=False, capture_output=True
        ).returncode

    def unmount():
        subprocess.run(["umount", "-l", str(folder)], check=True)

    if mount():
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder, mount, unmount
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_away_is_waited_for_and_the_one_below_is_left_alone(fakes, handled, disk, caplog, kind):
    folder, mount, unmount = disk
    below: list[Path] = []

    def mount_again():
        below.extend(folder.rglob("*"))
        assert mount() == 0

    sink = folder / "recordings" / KINDS[kind]
    metrics = run(fakes, handled, sink, {10: unmount, 35: mount_again})
    (counts,) = metrics.sinks.values()
    assert below == []
    assert counts.failures == 1
    assert counts.written + counts.dropped == FRAMES
    assert counts.dropped >= 15
    assert sum("the disk is not mounted there any more" in record.message for record in caplog.records) == 1
    assert results_in(sink.parent) > 0
    assert "works again" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_full_from_the_start_gets_no_empty_files(fakes, handled, disk, caplog, kind):
    folder, *_ = disk
    filler = folder / "filler"
    with filler.open("wb") as file:
        while (block := shutil.disk_usage(folder).free) > 0:
            file.write(bytes(min(block, 4096)))
            file.flush()
    full: list[Path] = []

    def free():
        full.extend(path for path in folder.rglob("*") if path.is_file() and path != filler)
        filler.unlink()

    metrics = run(fakes, handled, folder / KINDS[kind], {35: free})
    (counts,) = metrics.sinks.values()
    assert full == []
    assert "No space left on device" in caplog.text
    assert counts.failures == 1
    assert results_in(folder) == counts.written > 0


FULL = """
import resource, signal, sys
sys.path.insert(0, {here!r})
import conftest
from segrt.runtime.errors import SegrtError
from segrt.runtime.stream import run_stream
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
with conftest.PanopticSegmenter() as segmenter:
    try:
        run_stream(segmenter, conftest.ListSource(40, size=(64, 96)), [sys.argv[1]])
    except SegrtError as error:
        print(error)
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [0, 900])
def test_a_write_that_fails_leaves_no_empty_file(tmp_path, kind, limit):
    code = FULL.format(here=str(Path(__file__).parent), limit=limit)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / KINDS[kind])],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    if limit == 0:
        assert done.stdout.count("\n") == 1
        assert "cannot be written" in done.stdout
    results_in(tmp_path)


def test_an_anchor_knows_its_file_by_more_than_its_name(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    anchor = Anchor(path)
    assert anchor.stands()
    path.unlink()
    assert not anchor.stands()
    path.write_text("1")
    assert not anchor.stands(), "another file of the same name"
    with pytest.raises(VideoError, match=r"a: was deleted or replaced while it was written; 3 lines; leave"):
        anchor.check("3 lines")
    anchor.release()
    Disk(tmp_path / "not" / "there").check()
