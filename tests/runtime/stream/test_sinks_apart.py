"""Sinks of a live run are kept apart: slow, failing, or on a full disk, they lose their own results and no others'."""

import contextlib
import http.client
import json
import re
import subprocess
import threading
import time

import av
import numpy as np
import pytest

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.outputs.rotation import RotatedFiles
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import SemanticResult
from segrt.runtime.stream import run_stream
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.sinks.sink_kinds import open_sink
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.thinning import Thinning

pytestmark = pytest.mark.timeout(60)


def plain(image, _):
    return image


def test_a_slow_sink_loses_its_own_results_only(segmenter, fakes):
    class Slow(fakes.ListSink):
        def write(self, *arguments):
            time.sleep(0.05)
            super().write(*arguments)

    good, slow = fakes.ListSink("good"), Slow("slow")
    source = fakes.ListSource(60, seconds=0.005, live=True)
    metrics = run_stream(segmenter, source, [slow, good], policy="all")
    assert [index for _, index, *_ in good.items] == list(range(60))
    assert metrics.sinks["good"].written == 60
    assert metrics.sinks["slow"].dropped > 10
    assert metrics.sinks["slow"].written + metrics.sinks["slow"].dropped == 60
    assert metrics.dropped == 0


def test_a_failing_sink_is_said_once_and_works_again(segmenter, fakes, caplog, monkeypatch):
    monkeypatch.setattr("segrt.runtime.stream.backoff.FIRST_SECONDS", 0.05)

    class Failing(fakes.ListSink):
        def write(self, frame, result, drawn):
            if 5 <= frame.index < 20:
                raise VideoError("the disk is full")
            super().write(frame, result, drawn)

        def reopen(self):
            self.reopened = True

    good, bad, drawn = fakes.ListSink("good"), Failing("bad"), fakes.ListSink("drawn", drawing=True)
    source = fakes.ListSource(100, seconds=0.02, live=True)
    metrics = run_stream(segmenter, source, [bad, good, drawn], policy="all", draw=plain)
    assert [index for _, index, *_ in good.items] == list(range(100))
    assert len(drawn.items) == 100
    assert bad.reopened
    assert bad.items[-1][1] == 99
    counts = metrics.sinks["bad"]
    assert counts.failures == 1
    assert counts.dropped >= 15
    assert counts.written + counts.dropped == 100
    assert "sink bad: the disk is full" in caplog.text
    assert "sink bad: works again" in caplog.text
    assert [sink.closes for sink in (good, bad, drawn)] == [1, 1, 1]


def test_a_sink_that_cannot_begin_again_stops_nobody(segmenter, fakes):
    good, bad = fakes.ListSink("good"), fakes.ListSink("bad", fail_open=True)
    metrics = run_stream(segmenter, fakes.ListSource(20, seconds=0.002, live=True), [bad, good], policy="all")
    assert len(good.items) == 20
    assert (metrics.sinks["bad"].failures, metrics.sinks["bad"].dropped) == (1, 20)


class AwaySource(Source):
    """A live source whose camera never comes."""

    def __init__(self):
        self.info = SourceInfo("cam", live=True)
        self._stopped = threading.Event()

    def frames(self):  # noqa: D102
        self.listener.entered_state("cam", "lost")
        self._stopped.wait()
        return iter(())

    def stop(self):  # noqa: D102
        self._stopped.set()


@contextlib.contextmanager
def running_without_a_camera(segmenter, sinks):
    pipeline = open_pipeline(segmenter, AwaySource(), sinks)
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        while pipeline.recorder.states()["cam"] != "lost":
            time.sleep(0.01)
        yield pipeline
    finally:
        pipeline.stop()
        thread.join()


def test_health_says_at_once_that_the_camera_is_away(segmenter, tmp_path):
    pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
    sinks = ["http://127.0.0.1:0", tmp_path / "a.jsonl"]
    with running_without_a_camera(segmenter, sinks) as pipeline:
        port = int(pipeline.addresses[0].rstrip("/").rpartition(":")[2])
        answers = {}
        for path in ("/healthz", "/metrics"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse()
            answers[path] = (answer.status, answer.read().decode())
            connection.close()
    assert answers["/healthz"] == (503, "no recent frames: cam: lost, no frame yet\n")
    assert answers["/metrics"][0] == 200
    assert 'segrt_source_state{source="cam",state="lost"} 1.0' in answers["/metrics"][1]
    assert list(tmp_path.iterdir()) == [], "files are begun with the first result"


def test_only_what_serves_is_opened_before_the_first_picture(segmenter, fakes):
    class Serving(fakes.ListSink):
        serves = True

    serving, failing, waiting = Serving("serving"), Serving("failing", fail_open=True), fakes.ListSink("waiting")
    with running_without_a_camera(segmenter, [serving, failing, waiting]) as pipeline:
        deadline = time.monotonic() + 5
        while not (hasattr(serving, "sources") and pipeline.recorder.metrics().sinks) and time.monotonic() < deadline:
            time.sleep(0.01)
        counts = pipeline.recorder.metrics().sinks
        assert [hasattr(sink, "sources") for sink in (serving, waiting)] == [True, False]
    assert (counts["failing"].failures, counts["failing"].dropped) == (1, 0)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_survived_and_files_go_on_when_there_is_space(segmenter, fakes, small_disk, tmp_path, caplog):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(190_000))
    timer = threading.Timer(1.5, filler.unlink)
    noise = np.random.default_rng(0)

    def noisy(image, _):
        return noise.integers(0, 255, image.shape, np.uint8)

    sinks = [small_disk / "a.jsonl", small_disk / "a.mp4", tmp_path / "elsewhere.jsonl"]
    timer.start()
    source = fakes.ListSource(400, seconds=0.01, live=True, size=(32, 48))
    metrics = run_stream(segmenter, source, sinks, policy="all", draw=noisy)
    timer.join()
    assert (tmp_path / "elsewhere.jsonl").read_bytes().count(b"\n") == 400
    lines = [json.loads(line) for line in (small_disk / "a.jsonl").read_text().splitlines()]
    assert len(lines) == metrics.sinks["jsonl 1"].written
    assert metrics.sinks["mp4"].failures + metrics.sinks["jsonl 1"].failures >= 1
    assert metrics.sinks["jsonl 3"].dropped == 0
    assert "cannot be written (No space left on device)" in caplog.text
    assert "works again" in caplog.text
    for path in small_disk.glob("*.mp4"):
        if path.stat().st_size:
            with av.open(str(path)) as container:
                assert sum(1 for _ in container.decode(video=0)) > 0


def frames(fakes, count, size=(48, 64), step=0.1):
    for index in range(count):
        image = np.full((*size, 3), index % 200, np.uint8)
        yield Frame(image, index, index * step, 0.0, "cam"), SemanticResult(np.zeros(size, np.uint8), fakes.LABELS)


def write_all(sink, items):
    sink.open([SourceInfo("cam")])
    for frame, result in items:
        sink.write(frame, result, frame.image)
    sink.close()


def test_files_are_rotated_by_time_and_numbers_go_on(tmp_path, fakes):
    options = SinkOptions(segment_seconds=2.0, live=True)
    for name in ("a.mp4", "a.jsonl"):
        write_all(open_sink(tmp_path / name, options), frames(fakes, 50))
        assert not (tmp_path / name).exists()
    counts = []
    for path in sorted(tmp_path.glob("a-*.mp4")):
        with av.open(str(path)) as container:
            counts.append(sum(1 for _ in container.decode(video=0)))
    assert counts == [20, 20, 10]
    assert [path.read_bytes().count(b"\n") for path in sorted(tmp_path.glob("a-*.jsonl"))] == [20, 20, 10]
    write_all(open_sink(tmp_path / "a.jsonl", options), frames(fakes, 5))
    assert sorted(path.name for path in tmp_path.glob("*.jsonl"))[-1] == "a-00004.jsonl"


def test_a_new_picture_size_begins_a_new_file(tmp_path, fakes):
    items = [*frames(fakes, 5), *frames(fakes, 5, (64, 96))]
    write_all(open_sink(tmp_path / "a.mp4", SinkOptions(segment_seconds=100.0)), items)
    assert len(list(tmp_path.glob("a-*.mp4"))) == 2


def test_the_oldest_files_go_when_there_are_too_many_bytes(tmp_path, fakes):
    (tmp_path / "a-notes.jsonl").write_text("not ours")
    write_all(open_sink(tmp_path / "a.jsonl", SinkOptions(keep_bytes=8000)), frames(fakes, 400))
    paths = sorted(tmp_path.glob("a-0*.jsonl"))
    assert sum(path.stat().st_size for path in paths) <= 8000
    assert len(paths) >= 4
    assert json.loads(paths[-1].read_text().splitlines()[-1])["index"] == 399
    assert (tmp_path / "a-notes.jsonl").exists()
    numbers = [int(re.findall(r"\d+", path.name)[-1]) for path in paths]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] > 1


def test_without_rotation_there_is_one_file(tmp_path):
    files = RotatedFiles(tmp_path / "a.mp4", SinkOptions())
    assert files.next() == tmp_path / "a.mp4"
    assert not files.due(1e9)
    assert files.next() == tmp_path / "a-00001.mp4", "after a failure"


def test_every_and_target_fps_leave_frames_out_and_count_them(segmenter, fakes):
    sink = fakes.ListSink()
    metrics = run_stream(segmenter, fakes.ListSource(20), [sink], thinning=Thinning(every=4))
    assert [index for _, index, *_ in sink.items] == [0, 4, 8, 12, 16]
    assert (metrics.frames_in, metrics.frames_out, metrics.skipped, metrics.dropped) == (5, 5, 15, 0)
    sink = fakes.ListSink()
    run_stream(segmenter, fakes.ListSource(100), [sink], thinning=Thinning(target_fps=10))  # of 25 fps
    assert len(sink.items) == pytest.approx(40, abs=1)


def test_frames_that_waited_too_long_are_dropped(fakes):
    with fakes.FakeSegmenter(seconds=0.05) as segmenter:
        sink = fakes.ListSink()
        source = fakes.ListSource(40, seconds=0.0)
        metrics = run_stream(segmenter, source, [sink], thinning=Thinning(max_age=0.03))
    assert metrics.dropped > 0
    assert metrics.frames_in == metrics.frames_out + metrics.dropped == 40


@pytest.mark.parametrize("wrong", [{"every": 0}, {"target_fps": 0}, {"max_age": -1}])
def test_wrong_thinning_is_refused(wrong):
    with pytest.raises(SegrtError, match="must be"):
        Thinning(**wrong)


def test_the_age_of_frames_stays_below_that_of_one_inference_and_one_frame(fakes):
    """The frame that goes in next is taken when the network is about to be done, not when a slot is free."""
    with fakes.FakeSegmenter(seconds=0.3) as segmenter:
        metrics = run_stream(segmenter, fakes.ListSource(80, seconds=0.04, live=True), [fakes.ListSink()])
    assert metrics.frame_age_ms.p50 < 300 + 2 * 40 + 100
    assert metrics.fps > 0.85 / 0.3
