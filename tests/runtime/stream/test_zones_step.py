"""Zones in a run: events, counts and outlines of what walks through them, and the command."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from walkers import DOOR, GATE, LABELS, Walker, lines_of, plan, run, wait_for, write_film

from segrt.runtime.cli import main
from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.stream.events.event_kinds import EVENT_OUTPUTS, open_events
from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.zones_step import ZonesStep
from segrt.runtime.zones.shapes import Zone


def test_events_of_a_run_are_lines_of_a_file_and_counts_of_its_metrics(fakes, tmp_path):
    out = tmp_path / "events.jsonl"
    step = ZonesStep(plan(DOOR, GATE, rules=("person in door for 0.2s",)), [open_events(str(out))])
    pipeline = run(fakes, fakes.ListSource(20, pts_step=0.1), step, range(5, 12))
    told = [(one["event"], one["index"]) for one in lines_of(out)]
    assert told == [
        ("seen", 0), ("entered", 5), ("crossed", 5), ("count", 5), ("rule", 7), ("left", 12), ("crossed", 12),
        ("count", 12), ("gone", 19),
    ]  # fmt: skip
    assert lines_of(out)[5]["dwell"] == pytest.approx(0.7)
    assert lines_of(out)[-1]["reason"] == "end"
    assert pipeline.written() == [out]
    metrics = pipeline.recorder.metrics()
    assert metrics.sinks["events jsonl"].written == 9
    assert "zones" in metrics.stages
    happened = {(one.zone, one.what, one.direction): one.count for one in step.totals.happened()}
    assert happened == {
        ("door", "entered", ""): 1, ("door", "left", ""): 1, ("door", "rule", ""): 1,
        ("gate", "crossed", "left to right"): 1, ("gate", "crossed", "right to left"): 1,
    }  # fmt: skip
    assert step.totals.inside("list") == {"door": {"person": 0}}


def test_without_tracks_there_are_counts_and_that_is_said_once(fakes, tmp_path, caplog):
    out = tmp_path / "events.jsonl"
    step = ZonesStep(plan(DOOR), [open_events(str(out))])
    run(fakes, fakes.ListSource(10), step, range(5, 8), track=None)
    assert [(one["event"], one["counts"]) for one in lines_of(out)] == [("count", {"person": 1}), ("count", {})]
    assert caplog.text.count("results have no tracks") == 1


def test_zones_of_one_source_count_there_alone(fakes):
    hall = Zone("hall", source="b", polygon=DOOR.polygon)
    step = ZonesStep(plan(DOOR, hall))
    run(fakes, [fakes.ListSource(3, source_id="a"), fakes.ListSource(3, source_id="b")], step, range(3))
    assert [sorted(step.totals.inside(name)) for name in "ab"] == [["door"], ["door", "hall"]]
    with pytest.raises(SegrtError, match=r"'hall' is of source 'b', which there is not; sources are a"):
        run(fakes, fakes.ListSource(3, source_id="a"), ZonesStep(plan(hall)), ())


def test_events_may_not_go_where_another_output_does(fakes, tmp_path):
    out = tmp_path / "out.jsonl"
    with pytest.raises(VideoError, match=r"--events .*out.jsonl: is given twice"):
        run(fakes, fakes.ListSource(3), ZonesStep(plan(DOOR), [open_events(str(out))]), (), sinks=[str(out)])
    with pytest.raises(VideoError, match=r"--events ftp://h/p: is of no known kind; use FILE.jsonl, "):
        open_events("ftp://h/p")
    assert all(EVENT_OUTPUTS.load(name).forms for name in EVENT_OUTPUTS)


def test_a_killed_run_leaves_whole_lines(tmp_path):
    program = """
import itertools, sys
from pathlib import Path
from segrt.runtime.stream.events.event_lines import EventLines
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.zones.zone_events import Event, line_of_event
out = EventLines(Path(sys.argv[1]))
out.begin(Recorder(["cam"]), "events", live=True)
for index in itertools.count():
    out.put(line_of_event(Event("count", "cam", index, index / 10, zone="door", counts={"person": index})), None)
"""
    path = tmp_path / "events.jsonl"
    process = subprocess.Popen([sys.executable, "-c", program, path])
    while not path.exists() or path.stat().st_size < 100_000:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    data = path.read_bytes()
    assert data.endswith(b"\n")
    assert [json.loads(line)["index"] for line in data.splitlines()] == list(range(data.count(b"\n")))


def test_overlays_show_zones_with_their_counts(fakes):
    step = ZonesStep(plan(DOOR, GATE))
    source = fakes.ListSource(2, size=(96, 160))
    seen = []

    class Seeing(Walker):
        def take(self, frame, result):
            seen.append((frame, super().take(frame, result)))
            return seen[-1][1]

    with fakes.PanopticSegmenter() as segmenter:
        open_pipeline(segmenter, source, steps=[Seeing([1]), step]).run()
    draw = step.drawing(lambda picture, result: picture.copy())  # noqa: ARG005
    frame, result = seen[1]
    drawn = draw(frame.image, result)
    assert drawn.shape == frame.image.shape
    assert (frame.image == 1).all(), "the frame's own picture stays as it is"
    assert np.abs(drawn[50, 158].astype(int) - 1).sum() > 20, "the zone is tinted"
    assert (drawn[50, 20] == 1).all(), "what is outside is not"
    assert not np.array_equal(drawn, draw(frame.image, seen[0][1])), "the counts differ"


def test_prometheus_tells_what_is_inside_and_what_happened(fakes):
    pytest.importorskip("prometheus_client", reason="needs the extra segrt[web]")
    from segrt.runtime.stream.web.prometheus import exposition

    step = ZonesStep(plan(DOOR, GATE))
    pipeline = run(fakes, fakes.ListSource(10), step, range(3, 10))
    text = exposition(pipeline.recorder, lambda _: None).decode()
    assert 'segrt_zone_things{class="person",source="list",zone="door"} 1.0' in text
    key = 'class="person",direction="{}",event="{}",rule="",source="list",zone="{}"'
    assert f"segrt_zone_events_total{{{key.format('', 'entered', 'door')}}} 1.0" in text
    assert f"segrt_zone_events_total{{{key.format('right to left', 'crossed', 'gate')}}} 1.0" in text


def test_a_disk_that_fails_ends_a_file_run_with_what_was_written(fakes, tmp_path):
    out = tmp_path / "events.jsonl"
    step = ZonesStep(plan(DOOR), [open_events(str(out))])
    source = fakes.ListSource(20)
    frames = source.frames

    def with_removal():
        for frame in frames():
            if frame.index == 15:
                out.rename(tmp_path / "moved.jsonl")
            yield frame

    source.frames = with_removal
    with pytest.raises(VideoError, match="was deleted or replaced"):
        run(fakes, source, step, range(3, 20, 3))
    assert lines_of(tmp_path / "moved.jsonl")


def test_nothing_is_left_running(fakes):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run(fakes, fakes.ListSource(5), ZonesStep(plan(DOOR), [open_events(f"http://127.0.0.1:{port}/")]), [2])
    wait_for(lambda: not fakes.stage_threads())


@pytest.fixture
def segrt_stream(monkeypatch, capfd, fakes, tmp_path):
    """Run `segrt stream` with zones in this process, on a network that sees one car, the only class it knows."""
    monkeypatch.setattr("segrt.runtime.console.exits.leave_at_once", sys.exit)

    def run_here(zones, *arguments, labels=LABELS, technique="panoptic", state=None):
        path = tmp_path / "zones.json"
        path.write_text(json.dumps({"format": "1.0", **zones}))
        segmenter = fakes.PanopticSegmenter()
        segmenter.technique = technique
        segmenter.manifest = SimpleNamespace(
            name="fake", domain=None, labels=labels, state=state or {}, takes_prompts=False
        )
        monkeypatch.setattr("segrt.runtime.segmenter.open_bundle", lambda *_, **__: segmenter)
        words = ["stream", "bundle", tmp_path / "film.mp4", "--zones", path, *arguments]
        monkeypatch.setattr("sys.argv", ["segrt", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capfd.readouterr().err

    write_film(tmp_path / "film.mp4", 5)
    return run_here


def test_the_command_counts_and_refuses_in_one_line(segrt_stream, tmp_path):
    door = {"name": "door", "polygon": DOOR.polygon}
    code, told = segrt_stream({"zones": [door]}, "--events", tmp_path / "e.jsonl")
    assert (code, (tmp_path / "e.jsonl").exists()) == (0, True), told
    assert "no sink saves anything" not in told
    for zones, words, message in (
        ({"zones": [{**door, "classes": ["persom"]}]}, (), "zone 'door': the bundle has no class 'persom'; did you"),
        ({"zones": [door]}, ("--record-on", "person in dor"), "--record-on 'person in dor': there is no zone or line"),
        ({"zones": [door]}, ("--record-on", "person in door for 3s"), "speaks of one thing over time; add --track"),
        ({"zones": [door]}, ("--events", "out.txt"), "--events out.txt: is of no known kind; use FILE.jsonl"),
        (
            {"zones": [door]},
            ("--zones-edit",),
            "--zones-edit: the live page is where zones are drawn, add one: --sink h",
        ),
    ):
        code, told = segrt_stream(zones, *words)
        assert code == 2
        assert message in told
        assert told.count("\n") == 1
    code, told = segrt_stream({"zones": [door]}, technique="semantic")
    assert (code, "take an instance or panoptic bundle" in told) == (2, True)


def test_rules_over_time_need_no_tracker_where_the_network_tracks(segrt_stream):
    zones = {"zones": [{"name": "door", "polygon": DOOR.polygon}], "rules": ["person in door for 3s"]}
    assert segrt_stream(zones)[0] == 2
    code, told = segrt_stream(zones, state={"queries": "next"})
    assert code == 0, told


def test_events_and_recordings_need_zones(monkeypatch, capfd, fakes, tmp_path):
    write_film(tmp_path / "film.mp4", 2)
    monkeypatch.setattr("segrt.runtime.segmenter.open_bundle", lambda *_, **__: fakes.PanopticSegmenter())
    monkeypatch.setattr("segrt.runtime.console.exits.leave_at_once", sys.exit)
    monkeypatch.setattr("sys.argv", ["segrt", "stream", "b", str(tmp_path / "film.mp4"), "--events", "e.jsonl"])
    with pytest.raises(SystemExit):
        main()
    assert "--events: there are no zones that it could speak of; add --zones FILE.json" in capfd.readouterr().err
