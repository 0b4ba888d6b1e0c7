"""Zones in a run: events into files, webhooks and metrics, clips, and what is refused before it begins."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import av
import numpy as np
import pytest

from segrt.runtime.cli import main
from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.stream.clips.clip_keeper import ClipKeeper
from segrt.runtime.stream.clips.packet_ring import PacketRing
from segrt.runtime.stream.events import webhook
from segrt.runtime.stream.events.event_kinds import EVENT_OUTPUTS, open_events
from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.step import Step
from segrt.runtime.stream.zones_step import ZonesStep
from segrt.runtime.zones.rules import read_rules
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan

LABELS = (Label("person", 0, True, (220, 20, 60)), Label("road", 1, False, (128, 64, 128)))
DOOR = Zone("door", polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)))
GATE = Line("gate", start=(0.5, 0.0), end=(0.5, 1.0))


def plan(*places, rules=()):
    zones = tuple(place for place in places if isinstance(place, Zone))
    lines = tuple(place for place in places if isinstance(place, Line))
    return ZonePlan(zones, lines, ("person", "road"), rules)


class Walker(Step):
    """Puts one person into each result, who is in the right half in frames `inside`."""

    name = "tracked"

    def __init__(self, inside, track=1):
        self.inside, self.track = inside, track

    def take(self, frame, result):  # noqa: D102
        height, width = result.size
        left = width // 2 if frame.index in self.inside else 0
        ids = np.zeros((height, width), np.int32)
        ids[:, left : left + width // 2] = 1
        box = (left, 0, width // 2, height)
        return PanopticResult(ids, [Segment(1, 0, True, 0.9, int(ids.sum()), box, track_id=self.track)], LABELS)


def run(fakes, source, step, inside, *, track=1, sinks=()):
    with fakes.PanopticSegmenter() as segmenter:
        pipeline = open_pipeline(segmenter, source, sinks, steps=[Walker(inside, track), step])
        pipeline.run()
    return pipeline


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


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


class Receiver:
    """A server that takes what is posted, after it has answered each of `statuses` once; 0 hangs until it is closed."""

    def __init__(self, statuses=()):
        self.statuses, self.taken, self.over = list(statuses), [], threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                if status == 0:
                    receiver.over.wait(30)
                    return
                if status == 200:
                    receiver.taken.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):  # noqa: D102
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    """Make receivers, closed in the end."""
    made = []

    def make(*statuses):
        made.append(Receiver(statuses))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def hasty(monkeypatch):
    """Let webhooks wait for less."""
    monkeypatch.setattr(webhook, "Backoff", lambda: webhook_backoff(0.02, 0.05))
    monkeypatch.setattr(webhook, "_TIMEOUT_SECONDS", 0.3)


webhook_backoff = webhook.Backoff


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def hook(address, recorder=None):
    output = open_events(address)
    recorder = recorder or Recorder(["cam"])
    output.begin(recorder, "webhook", live=True)
    return output, recorder


@pytest.mark.usefixtures("hasty")
def test_a_webhook_gets_every_event_in_order_over_failures(receiver, caplog):
    server = receiver(500, 429, 0)
    output, recorder = hook(f"http://me:hunter2@127.0.0.1:{server.port}/hooks?key=s3cret")
    for number in range(5):
        output.put(b'{"index":%d}' % number, None)
    wait_for(lambda: len(server.taken) == 5)
    assert [body["index"] for _, _, body in server.taken] == list(range(5))
    path, headers, _ = server.taken[0]
    assert path == "/hooks?key=s3cret"
    assert headers["Authorization"] == "Basic bWU6aHVudGVyMg=="
    assert headers["Content-Type"] == "application/json"
    assert len({headers["Idempotency-Key"] for _, headers, _ in server.taken}) == 5
    output.close()
    assert recorder.metrics().sinks["webhook"].written == 5
    assert recorder.metrics().sinks["webhook"].failures == 1
    assert "answers 500; trying again" in caplog.text
    assert "hunter2" not in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.usefixtures("hasty")
def test_an_event_that_is_refused_for_good_is_dropped_and_the_next_one_sent(receiver, caplog):
    server = receiver(403)
    output, recorder = hook(f"http://127.0.0.1:{server.port}/")
    output.put(b'{"index":0}', None)
    output.put(b'{"index":1}', None)
    wait_for(lambda: len(server.taken) == 1)
    output.close()
    assert server.taken[0][2] == {"index": 1}
    assert recorder.metrics().sinks["webhook"].dropped == 1
    assert "answers 403; check user and password; this event is lost" in caplog.text


@pytest.mark.usefixtures("hasty")
def test_a_receiver_that_hangs_holds_up_nothing_and_loses_the_oldest(receiver, monkeypatch, fakes, tmp_path):
    monkeypatch.setattr(webhook, "QUEUED", 3)
    monkeypatch.setattr(webhook, "_GOODBYE_SECONDS", 0.1)
    server = receiver(*[0] * 50)
    lines = tmp_path / "events.jsonl"
    step = ZonesStep(plan(DOOR), [open_events(str(lines)), open_events(f"http://127.0.0.1:{server.port}/")])
    pipeline = run(fakes, fakes.ListSource(40), step, range(1, 40, 2))
    sinks = pipeline.recorder.metrics().sinks
    assert sinks["events jsonl"].written == len(lines_of(lines)) > 60
    assert sinks["webhook"].dropped == sinks["events jsonl"].written
    assert server.taken == []


def test_wrong_addresses_of_webhooks_are_refused_without_their_secrets():
    for address in ("http://me:hunter2@host:99999/", "https://", "http://me:hun/ter2@host/x"):
        with pytest.raises(VideoError, match=r"must be http\[s\]://HOST") as failure:
            open_events(address)
        assert "ter2" not in str(failure.value)


def write_film(path, frames=60, rate=10, gop=10):
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=rate, options={"bf": "2", "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(frames):
            image = np.full((48, 64, 3), index * 4, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        film.mux(stream.encode(None))


def shown(path):
    """Return the grey value of each picture of a film, divided by 4: the index of its frame."""
    with av.open(str(path)) as film:
        return [
            round(float(frame.to_ndarray(format="gray")[10:40, 10:50].mean()) / 4) for frame in film.decode(video=0)
        ]


def keeper(folder, before=1.0, after=0.5):
    return ClipKeeper(folder, SinkOptions(), before=before, after=after)


def test_a_clip_has_the_films_own_packets_from_before_the_rule_to_after_it(fakes, tmp_path):
    film, events = tmp_path / "film.mp4", tmp_path / "events.jsonl"
    write_film(film)
    zones = plan(DOOR)
    rules = read_rules(["person in door"], zones, "--record-on")
    step = ZonesStep(zones, [open_events(str(events))], recorded=rules, clips=keeper(tmp_path / "clips"))
    pipeline = run(fakes, str(film), step, [*range(25, 30), *range(50, 52)])
    clips = [path for path in pipeline.written() if path.suffix == ".mp4"]
    assert [path.name for path in clips] == ["person-in-door.mp4", "person-in-door-00001.mp4"]
    # The key frame before the second that is asked for, and half a second behind the last frame of the stay.
    first, second = shown(clips[0]), shown(clips[1])
    assert first[0] == 10
    assert first == list(range(10, 10 + len(first)))
    assert 31 <= first[-1] <= 34
    assert second[0] == 40
    assert 54 <= second[-1] <= 56
    told = [one for one in lines_of(events) if one["event"] == "recording"]
    assert [(one["index"], one["file"]) for one in told] == [(25, str(clips[0])), (50, str(clips[1]))]


def test_frames_of_a_source_without_packets_are_encoded(fakes, tmp_path):
    zones = plan(DOOR)
    rules = read_rules(["person in door"], zones, "--record-on")
    step = ZonesStep(zones, recorded=rules, clips=keeper(tmp_path, before=1.0))
    run(fakes, fakes.ListSource(90, pts_step=0.1, size=(48, 64)), step, range(55, 60))
    (clip,) = tmp_path.glob("*.mp4")
    with av.open(str(clip)) as film:
        times = [frame.time for frame in film.decode(video=0)]
    assert times[0] == 0
    assert 15 <= len(times) <= 45  # from frame 45, or the key frame before it, to frame 64
    assert np.diff(times) == pytest.approx(0.1)


def test_clips_of_a_live_source_are_written_beside_the_stream(fakes, tmp_path):
    zones = plan(DOOR)
    rules = read_rules(["person enters door"], zones, "--record-on")
    step = ZonesStep(zones, recorded=rules, clips=keeper(tmp_path, before=0.3, after=0.3))
    source = fakes.ListSource(60, pts_step=0.04, seconds=0.005, size=(48, 64), live=True)
    pipeline = run(fakes, source, step, [*range(20, 24), *range(50, 60)])
    clips = pipeline.written()
    assert [path.name for path in clips] == ["person-enters-door.mp4", "person-enters-door-00001.mp4"]
    for clip in clips:
        assert 5 <= len(shown(clip)) <= 45
    wait_for(lambda: not fakes.stage_threads())


def test_a_live_run_goes_on_when_a_clip_cannot_be_written(fakes, tmp_path, caplog):
    zones = plan(DOOR)
    folder = tmp_path / "clips"
    step = ZonesStep(zones, recorded=read_rules(["person in door"], zones, "--record-on"), clips=keeper(folder))
    folder.rmdir()
    folder.write_text("in the way")
    source = fakes.ListSource(20, size=(48, 64), seconds=0.005, live=True)
    pipeline = run(fakes, source, step, range(3, 18))
    metrics = pipeline.recorder.metrics()
    assert metrics.frames_out + metrics.dropped == 20
    assert metrics.sinks["clips"].failures == 1
    assert caplog.text.count("cannot be made a folder") == 1


def test_a_ring_is_bounded_in_seconds_and_bytes():
    ring = PacketRing(5.0, most_bytes=100_000)
    ring.usable = True
    for number in range(5000):
        ring.keep(bytes(1000), number / 10, number, number, 1, is_key=number % 10 == 0)
        assert ring.size()[1] <= 100_000
    kept = ring.from_time(0.0)
    assert kept[0].is_key
    roomy = PacketRing(5.0)
    for number in range(5000):
        roomy.keep(bytes(1000), number / 10, number, number, 1, is_key=number % 10 == 0)
    assert 150 <= roomy.size()[0] <= 170
    assert roomy.from_time(495.0)[0].time == 495.0
    endless = PacketRing(1.0, most_bytes=50_000)
    for number in range(200):  # one key frame and no other
        endless.keep(bytes(1000), number, number, number, 1, is_key=number == 0)
    assert endless.size()[1] <= 50_000


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

    def run_here(zones, *arguments, labels=LABELS, technique="panoptic"):
        path = tmp_path / "zones.json"
        path.write_text(json.dumps({"format": "1.0", **zones}))
        segmenter = fakes.PanopticSegmenter()
        segmenter.technique = technique
        segmenter.manifest = SimpleNamespace(name="fake", domain=None, labels=labels)
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
    ):
        code, told = segrt_stream(zones, *words)
        assert code == 2
        assert message in told
        assert told.count("\n") == 1
    code, told = segrt_stream({"zones": [door]}, technique="semantic")
    assert (code, "take an instance or panoptic bundle" in told) == (2, True)


def test_events_and_recordings_need_zones(monkeypatch, capfd, fakes, tmp_path):
    write_film(tmp_path / "film.mp4", 2)
    monkeypatch.setattr("segrt.runtime.segmenter.open_bundle", lambda *_, **__: fakes.PanopticSegmenter())
    monkeypatch.setattr("segrt.runtime.console.exits.leave_at_once", sys.exit)
    monkeypatch.setattr("sys.argv", ["segrt", "stream", "b", str(tmp_path / "film.mp4"), "--events", "e.jsonl"])
    with pytest.raises(SystemExit):
        main()
    assert "--events: there are no zones that it could speak of; add --zones FILE.json" in capfd.readouterr().err
