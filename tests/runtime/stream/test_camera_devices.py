"""Cameras at the device, by USB and by GStreamer: opened as asked, named when they are not, opened again when lost."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact
from segrt.runtime.outputs import gstreamer_bindings
from segrt.runtime.stream import stream
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources import gstreamer, packets
from segrt.runtime.stream.sources.live import LiveOptions
from segrt.runtime.stream.sources.source_kinds import extras_of, kind_of, open_source, open_sources

pytestmark = pytest.mark.timeout(60)


def noise(index, size=(40, 60)):
    return np.random.default_rng(index).integers(0, 200, (*size, 3), np.uint8)


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
