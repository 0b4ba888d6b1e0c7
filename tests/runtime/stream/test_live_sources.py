"""Live sources go on whatever happens: with injected feeds, devices and clocks, and the street as a camera."""

import logging
import time
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.uri import redact
from segrt.runtime.outputs import gstreamer_bindings
from segrt.runtime.stream import run_stream, stream, timecode
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources import gstreamer, packets
from segrt.runtime.stream.sources.frozen_picture import PictureWatch
from segrt.runtime.stream.sources.live import Feed, LiveOptions, LiveSource, Shot
from segrt.runtime.stream.sources.source_kinds import extras_of, kind_of, open_source, open_sources
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


def test_usb_cameras_are_named_by_number_or_device(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [kind_of(name) for name in ("0", "12", "/dev/video0", "/dev/video10")] == ["v4l2"] * 4
    assert [kind_of(name) for name in ("123", "/dev/null", "0.mp4", "video0")] == ["video"] * 4
    assert type(open_source("0")).__name__ == type(open_source("/dev/video0")).__name__ == "V4l2Source"
    assert extras_of(["0"]) == extras_of(["v4l2:///dev/video0"])
    opened = open_sources(["0", "/dev/video1"])
    assert [source.info.source_id for source in opened] == ["v4l2:///dev/video0", "v4l2:///dev/video1"], "in messages"
    for source in opened:
        source.close()
    (tmp_path / "0").mkdir()
    assert kind_of("0") == "images"  # what is there as a file or folder is meant


class FakeContainer:
    """What PyAV gives for a USB camera that is unplugged after its second picture."""

    def __init__(self):
        import av

        self.format = type("F", (), {"name": "video4linux2,v4l2"})
        context = av.CodecContext.create("rawvideo", "r")
        self._av = av
        self.closed = False
        stream = type("S", (), {"codec_context": context, "sample_aspect_ratio": None})()
        self.streams = type("T", (), {"video": [stream]})

    def demux(self, stream):  # noqa: ARG002, D102
        for index in range(2):
            frame = self._av.VideoFrame.from_ndarray(noise(index), format="bgr24")
            frame.pts, frame.time_base = 1000 + index, Fraction(1, 10)
            yield SimpleNamespace(size=9, pts=frame.pts, time_base=frame.time_base, decode=lambda frame=frame: [frame])
        raise OSError(19, "No such device")

    def close(self):  # noqa: D102
        self.closed = True


def test_a_usb_camera_is_opened_as_asked_and_may_be_unplugged(monkeypatch, caplog):
    opened = []

    def fake_open(address, **options):
        if len(opened) == 1:
            opened.append(None)
            raise FileNotFoundError(2, "No such file or directory")
        opened.append((address, options, FakeContainer()))
        return opened[-1][2]

    monkeypatch.setattr(packets.av, "open", fake_open)
    source = open_source("v4l2:///dev/video3?format=mjpeg&width=640&height=480&rate=15")
    source._backoff = Backoff(0.0, 0.0)
    source.listener = Recorder([source.info.source_id])
    seen = []
    for frame in source.frames():
        seen.append(frame)
        if len(seen) == 4:
            source.stop()
    assert source.info.rate == 15
    address, options, container = opened[0]
    assert (address, options["format"]) == ("/dev/video3", "v4l2")
    assert options["options"] == {"input_format": "mjpeg", "video_size": "640x480", "framerate": "15"}
    assert container.closed
    assert [frame.index for frame in seen] == [0, 1, 2, 3]
    assert np.array_equal(seen[0].image, noise(0))
    assert source.listener.metrics().reconnects == 1
    assert "No such device" in caplog.text
    assert "cannot be opened (No such file or directory)" in caplog.text


def test_without_gstreamer_one_line_says_what_to_install(monkeypatch):
    def missing():
        raise ImportError("gi")

    monkeypatch.setattr(gstreamer_bindings, "import_gi", missing)
    for uri in ("csi://0", "gst:rtspsrc location=rtsp://me:hunter2@host/x user-pw=hunter2 ! appsink"):
        with pytest.raises(VideoError, match="sudo apt-get install python3-gi") as failure:
            open_source(uri)
        assert "hunter2" not in str(failure.value)
    assert "hunter2" not in redact("gst:rtspsrc location=rtsp://a:hunter2@h/x user-pw=hunter2 ! appsink")


def test_csi_pipelines_by_what_the_system_has():
    def system(*elements):
        factory = type("E", (), {"find": staticmethod(lambda name: name in elements)})
        return type("Gst", (), {"ElementFactory": factory})

    jetson = gstreamer.csi_pipeline(system("nvarguscamerasrc"), "csi://1", 1, (1280, 720), 30)
    assert jetson.startswith("nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1280,height=720")
    assert "libcamerasrc" in gstreamer.csi_pipeline(system("libcamerasrc"), "csi://0", 0, (640, 480), 30)
    with pytest.raises(VideoError, match="nvarguscamerasrc"):
        gstreamer.csi_pipeline(system(), "csi://0", 0, (640, 480), 30)


@pytest.fixture
def gst():
    try:
        return gstreamer.start("this test")
    except VideoError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("end", ["", " ! appsink", " ! videoconvert ! appsink sync=false"])
def test_gstreamer_pipelines_give_pictures(gst, segmenter, end):  # noqa: ARG001
    pipeline = f"gst:videotestsrc is-live=true pattern=blue ! video/x-raw,width=62,height=46,framerate=20/1{end}"
    frames = [frame for frame, _ in stream(segmenter, pipeline, max_frames=3)]
    assert {frame.size for frame in frames} == {(46, 62)}
    assert frames[0].image[20, 30].astype(int) == pytest.approx([255, 0, 0], abs=8)
    assert frames[2].pts > frames[0].pts


def test_a_pipeline_that_ends_or_fails_is_begun_again(gst, caplog):  # noqa: ARG001
    source = open_source("gst:videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48")
    source._backoff = Backoff(0.0, 0.0)
    source.listener = Recorder([source.info.source_id])
    for frame in source.frames():
        if frame.index == 3:
            source.stop()
    assert source.listener.metrics().reconnects == 1
    assert "the stream has ended" in caplog.text
    broken = open_source("gst:filesrc location=/nosuch ! decodebin ! appsink", options=LiveOptions(read_timeout=0.5))
    with pytest.raises(VideoError, match=r"failed|nothing came"):
        broken._connect().read()


def test_latest_counts_what_a_slow_model_leaves_out(fakes):
    with fakes.FakeSegmenter(seconds=0.15) as segmenter:
        metrics = run_stream(segmenter, "street://?fps=20&width=64&height=48", ["null"], max_frames=6)
    assert metrics.frames_out == 6
    assert metrics.dropped >= 3
    assert metrics.frame_age_ms.p50 < 400
