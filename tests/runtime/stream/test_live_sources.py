"""Live sources go on whatever happens: with injected feeds and clocks, and the street as a camera."""

import logging
import time

import numpy as np
import pytest

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.stream import run_stream, stream, timecode
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.frozen_picture import PictureWatch
from segrt.runtime.stream.sources.live import Feed, LiveSource, Shot
from segrt.runtime.stream.sources.source_kinds import open_source
from segrt.runtime.streetworld import StreetWorld

pytestmark = pytest.mark.timeout(60)


def noise(index, size=(40, 60)):
    return np.random.default_rng(index).integers(0, 200, (*size, 3), np.uint8)


class ScriptedFeed(Feed):
    """Gives shots at given times, then raises."""

    def __init__(self, shots, error="the stream has ended"):
        self._shots, self._error, self.closed = iter(shots), error, False

    def read(self):  # noqa: D102
        shot = next(self._shots, None)
        if shot is None:
            raise VideoError(self._error)
        return shot

    def close(self):  # noqa: D102
        self.closed = True


def shots(count, *, begin=100.0, pts=0.0, step=0.1, size=(40, 60)):
    return [Shot(noise(index, size), pts + index * step, begin + index * step) for index in range(count)]


def live(*feeds, **options):
    """A source that connects to one feed after another, without a pause; an exception among them is raised."""
    left = list(feeds)

    def connect():
        if not left:
            source.stop()
            raise VideoError("no more")
        feed = left.pop(0)
        if isinstance(feed, Exception):
            raise feed
        return feed

    source = LiveSource("cam", connect, backoff=Backoff(0.0, 0.0), **options)
    source.listener = Recorder(["cam"])
    return source


def test_after_every_failure_it_connects_again_and_counts(caplog):
    feeds = [ScriptedFeed(shots(3)), VideoError("cannot be opened (no route)"), ScriptedFeed(shots(2), "is lost")]
    feeds += [OSError(5, "Input/output error"), ScriptedFeed(shots(1))]
    source = live(*feeds)
    frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(6))
    assert source.listener.metrics().reconnects == 2
    assert all(feed.closed for feed in feeds if isinstance(feed, ScriptedFeed))
    text = caplog.text
    for message in ("cam: the stream has ended", "no route", "cam: is lost", "Input/output", "cam: connected again"):
        assert message in text


def test_times_go_on_over_an_outage_and_never_run_backwards():
    source = live(
        ScriptedFeed(shots(3, begin=100.0, pts=5000.0)),
        ScriptedFeed(shots(3, begin=110.0, pts=0.0)),
        ScriptedFeed([Shot(noise(0), None, 120.0), Shot(noise(1), 1e6, 120.1), Shot(noise(2), 3.0, 120.2)]),
    )
    times = [frame.pts for frame in source.frames()]
    assert times == pytest.approx([0, 0.1, 0.2, 10, 10.1, 10.2, 20, 20.1, 20.2], abs=2e-3)


def test_pauses_grow_from_half_a_second_to_ten_and_begin_anew():
    backoff = Backoff()
    assert [backoff.next() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next() == 0.5
    for _ in range(5000):
        backoff.next()
    assert backoff.next() == 10


def test_stop_ends_the_waiting_at_once():
    source = LiveSource("cam", lambda: ScriptedFeed([]), backoff=Backoff(100.0, 100.0))
    start = time.monotonic()
    from threading import Timer

    timer = Timer(0.2, source.stop)
    timer.start()
    assert list(source.frames()) == []
    assert time.monotonic() - start < 20
    timer.join()


def test_a_resolution_that_changes_is_followed(caplog, segmenter):
    source = live(ScriptedFeed([*shots(2), *shots(2, begin=100.5, pts=0.5, size=(80, 50))]))
    sizes = [(frame.size, result.size) for frame, result in stream(segmenter, source, policy="all")]
    assert sizes == [((40, 60), (40, 60))] * 2 + [((80, 50), (80, 50))] * 2
    assert "the picture is now 50x80" in caplog.text


def test_frozen_and_black_pictures_are_told_apart_from_live_ones():
    watch = PictureWatch(5.0)
    picture = noise(0, (480, 640))
    assert [watch.look(picture, now) for now in (0.0, 3.0, 4.9, 5.0)] == [None, None, None, "frozen"]
    assert watch.look(noise(1, (480, 640)), 5.1) is None
    black = np.full((480, 640, 3), 12, np.uint8)
    assert [watch.look(black, now) for now in (6.0, 9.0, 10.2)] == [None, None, "black"]
    assert watch.look(picture, 10.3) is None
    moving = picture.copy()
    moving[100:140, 100:140] = 0
    assert [watch.look(p, now) for p, now in ((moving, 14.0), (picture, 18.0), (moving, 22.0))] == [None] * 3


def test_a_frozen_picture_is_reported_and_counted_and_its_end_too(caplog):
    now = iter(np.arange(0.0, 100.0, 0.5).tolist())
    picture = noise(0)
    still = [Shot(picture, index * 0.5, index * 0.5) for index in range(20)]
    source = live(ScriptedFeed([*still, Shot(noise(1), 10.5, 10.5)]), clock=lambda: next(now))
    assert len(list(source.frames())) == 21
    assert source.listener.metrics().frozen == 1
    assert caplog.text.count("has been frozen for 5 s") == 1
    assert caplog.text.count("lives again") == 1


def test_wall_clock_jumps_touch_nothing(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: pytest.fail("nobody asks the wall clock"))
    monkeypatch.setattr(logging, "LogRecord", lambda *_, **__: pytest.fail("nothing to say"))
    source = live(ScriptedFeed(shots(5)))
    frames = source.frames()
    assert [next(frames).index for _ in range(5)] == list(range(5))
    frames.close()


def test_the_street_is_a_live_camera(segmenter):
    seen = []
    for frame, _ in stream(segmenter, "street://?seed=1&fps=20&width=160&height=96&timecode=1", max_frames=5):
        age = time.monotonic() - timecode.read(frame.image)
        assert age == pytest.approx(time.monotonic() - frame.capture_time, abs=0.05)
        seen.append(frame)
    assert {frame.size for frame in seen} == {(96, 160)}
    assert all(frame.pts * 20 == pytest.approx(round(frame.pts * 20)) for frame in seen)
    assert seen[-1].pts >= 4 / 20 - 1e-6
    assert seen[-1].capture_time - seen[0].capture_time == pytest.approx(seen[-1].pts - seen[0].pts, abs=1e-6)


def test_the_street_as_a_camera_of_wide_angle_sees_it():
    picture = open_source("street://?seed=1&width=160&height=96&wide=4").picture(2)
    assert (picture == StreetWorld(1, wide=4).render(2 / 25, (96, 160)).image).all()
    assert (picture != StreetWorld(1).render(2 / 25, (96, 160)).image).any()


@pytest.mark.parametrize("size", [(96, 160), (192, 320), (720, 1280), (75, 333)])
@pytest.mark.parametrize("seconds", [0.0, 1.234, 4294967.295, 86400.5])
def test_time_codes_survive_lossy_video(tmp_path, fakes, size, seconds):
    image = noise(3, size)
    timecode.burn(image, seconds)
    assert timecode.read(image) == pytest.approx(seconds, abs=1e-3)
    path = fakes.write_video(tmp_path / "a.mp4", [image[: size[0] // 2 * 2, : size[1] // 2 * 2]], options={"crf": "38"})
    (frame,) = open_source(path).frames()
    assert timecode.read(frame.image) == pytest.approx(seconds, abs=1e-3)


def test_a_picture_without_time_code_has_none():
    assert sum(timecode.read(noise(index)) is not None for index in range(50)) < 5


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("street://?sede=1", "no option 'sede'; use seed"),
        ("street://?fps=0", "fps must be a number from 0.1 to 240, but got '0'"),
        ("street://?width=1&height=64", "width must be a whole number from 32 to 8192, but got '1'"),
        ("street://?width=640", "width and height go together"),
        ("v4l2:///dev/video0?height=480", "width and height go together"),
        ("street://?seed=3&size=1280x720&fps=5", r"write street://\?seed=3&width=1280&height=720&fps=5$"),
        ("v4l2:///dev/video0?size=640x480", "write v4l2:///dev/video0\\?width=640&height=480$"),
        ("csi://0?size=1280X720", "write csi://0\\?width=1280&height=720$"),
        ("csi://0?size=720p", "size=720p leaves open which edge is first; write width=1280&height=720 for instance"),
        ("street://?wide=0", "wide must be a whole number from 1 to 8, but got '0'"),
        ("street://host", "no host or path"),
        ("street://?weather=hail", "weather must be one of"),
        ("rtsp://", "names no host"),
        ("v4l2://video0", "names no device; give v4l2:///dev/video0"),
        ("v4l2:///dev/video0?rate=fast", "rate must be a number"),
        ("csi://left", "names no sensor; give csi://0"),
        ("gst:", "names no pipeline"),
    ],
)
def test_wrong_addresses_are_refused_at_once(uri, message):
    with pytest.raises(SegrtError, match=message):
        open_source(uri)


def test_latest_counts_what_a_slow_model_leaves_out(fakes):
    with fakes.FakeSegmenter(seconds=0.15) as segmenter:
        metrics = run_stream(segmenter, "street://?fps=20&width=64&height=48", ["null"], max_frames=6)
    assert metrics.frames_out == 6
    assert metrics.dropped >= 3
    assert metrics.frame_age_ms.p50 < 400
