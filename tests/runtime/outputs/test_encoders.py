"""Live pictures as H.264: sizes, key pictures, and encoders that are there and do not work."""

import struct
from types import SimpleNamespace

import av
import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs import gstreamer_bindings
from segrt.runtime.outputs.encoders import gstreamer_encoder, h264_encoders, h264_presence
from segrt.runtime.outputs.encoders.annex_b import ParameterSets, unit_types
from segrt.runtime.outputs.encoders.encoded import Encoded, Encoder, EncoderError, Wanted
from segrt.runtime.outputs.encoders.gstreamer_encoder import GstreamerEncoder
from segrt.runtime.outputs.encoders.h264_encoders import H264, EncoderKind, open_h264
from segrt.runtime.outputs.encoders.libav_encoder import Vp8Encoder, X264Encoder
from segrt.runtime.outputs.encoders.live_encoder import LiveEncoder
from segrt.runtime.stream import timecode

SIZE = (96, 320)
WANTED = Wanted(96, 320, 25.0, 400_000, 50)


def picture(seconds, size=SIZE):
    image = np.full((*size, 3), 90, np.uint8)
    timecode.burn(image, seconds)
    return image


def decoded(codec, items):
    decoder = av.CodecContext.create(codec, "r")
    frames = [frame for item in items for frame in decoder.decode(av.Packet(item.data))]
    return [frame.to_ndarray(format="bgr24") for frame in [*frames, *decoder.decode(None)]]


class Fake(Encoder):
    """Fails at picture `fail_at`; its data say who has made them."""

    def __init__(self, name, fail_at=None):
        self.name, self.fail_at, self.count, self.closed = name, fail_at, 0, False

    def encode(self, picture, ticks, *, key):  # noqa: ARG002, D102
        if self.count == self.fail_at:
            raise EncoderError("the device is gone")
        self.count += 1
        return [Encoded(self.name.encode(), ticks, key)]

    def close(self):  # noqa: D102
        self.closed = True


@pytest.fixture
def table(monkeypatch):
    """Put encoders of the test's own into the table, before libx264."""
    monkeypatch.setattr(h264_encoders, "_failed", set())
    entries = dict(H264._entries)
    H264._entries.clear()
    yield H264
    H264._entries.clear()
    H264._entries.update(entries)


def test_every_picture_comes_out_at_its_time_and_keys_come_when_they_are_asked_for():
    encoder = LiveEncoder(25)
    items = []
    for index in range(12):
        if index == 7:
            encoder.ask_for_key()
        found = encoder.encode(picture(index / 25), index * 3600)
        assert len(found) == 1, "no picture waits for another"
        items += found
    assert [item.ticks for item in items] == [index * 3600 for index in range(12)]
    assert [index for index, item in enumerate(items) if item.is_key] == [0, 7]
    for key in (items[0], items[7]):
        assert {5, 7, 8} <= set(unit_types(key.data)), "a key picture brings its parameter sets"
    assert [timecode.read(image) for image in decoded("h264", items)] == [index / 25 for index in range(12)]
    assert encoder.encode(picture(0.1), 11 * 3600) == (), "a picture that is not later than the last"
    late = decoded("h264", items[7:])
    assert timecode.read(late[0]) == 7 / 25, "who comes late begins with a key picture"


def test_a_new_size_begins_a_new_stream_and_odd_sides_gain_a_line():
    encoder = LiveEncoder(25)
    first = encoder.encode(picture(1, (95, 321)), 0)
    assert (encoder.size, encoder.stream, first[0].is_key) == ((96, 322), 1, True)
    second = encoder.encode(picture(2, (64, 320)), 3600)
    assert (encoder.size, encoder.stream, second[0].is_key) == ((64, 320), 2, True)
    assert decoded("h264", second)[0].shape == (64, 320, 3)
    with pytest.raises(VideoError, match="a picture of 8x8 is too small to be encoded"):
        encoder.encode(np.zeros((8, 8, 3), np.uint8), 7200)


def test_vp8_and_the_simple_profile_decode():
    items = [item for index in range(5) for item in Vp8Encoder(WANTED).encode(picture(index), index * 3600, key=True)]
    assert all(item.is_key for item in items)
    assert timecode.read(decoded("vp8", items)[-1]) == 4.0
    simple = X264Encoder(Wanted(96, 320, 25.0, 400_000, 50, simple=True)).encode(picture(3), 0, key=True)
    start = simple[0].data.index(b"\0\0\1\x67") + 4
    assert simple[0].data[start] == 66, "profile_idc of the baseline profile"


def test_an_encoder_that_is_here_but_does_not_open_is_said_once_and_passed_over(table, caplog):
    opened = []

    def broken(wanted):  # noqa: ARG001
        opened.append("broken")
        raise EncoderError("no capable devices found")

    table.add("nvenc", EncoderKind(lambda: True, broken))
    table.add("absent", EncoderKind(lambda: False, broken))
    table.add("good", EncoderKind(lambda: True, lambda wanted: Fake("good")))  # noqa: ARG005
    for _ in range(3):
        assert open_h264(WANTED)[0] == "good"
    assert opened == ["broken"]
    assert [record.getMessage() for record in caplog.records] == [
        "H.264 encoder nvenc: is here, but does not work (no capable devices found); another one encodes"
    ]
    table.remove("good")
    with pytest.raises(VideoError, match=r"H\.264 cannot be encoded here"):
        open_h264(WANTED)


def test_an_encoder_that_fails_on_its_way_is_replaced_and_nothing_is_lost(table, caplog):
    first = Fake("device", fail_at=3)
    table.add("device", EncoderKind(lambda: True, lambda wanted: first))  # noqa: ARG005
    table.add("other", EncoderKind(lambda: True, lambda wanted: Fake("other")))  # noqa: ARG005
    encoder = LiveEncoder(25)
    items = [item for index in range(6) for item in encoder.encode(picture(index), index * 3600)]
    assert [item.data for item in items] == [b"device"] * 3 + [b"other"] * 3
    assert [index for index, item in enumerate(items) if item.is_key] == [0, 3], "the new stream begins with a key"
    assert (encoder.stream, first.closed) == (2, True)
    assert caplog.text.count("the device is gone") == 1
    assert LiveEncoder(25).encode(picture(0), 0)[0].data == b"other", "it is not tried again"


def test_an_encoder_that_is_the_last_one_fails_with_its_reason(table):
    table.add("libx264", EncoderKind(lambda: True, lambda wanted: Fake("x", fail_at=0)))  # noqa: ARG005
    with pytest.raises(VideoError, match=r"H\.264 cannot be encoded here"):
        LiveEncoder(25).encode(picture(0), 0)


def test_parameter_sets_are_put_before_key_pictures_that_came_without():
    sets = ParameterSets()
    head, idr, other = b"\0\0\0\1\x67abc\0\0\0\1\x68de", b"\0\0\1\x65picture", b"\0\0\1\x41next"
    assert sets.complete(head + idr) == (head + idr, True)
    assert sets.complete(other) == (other, False)
    assert sets.complete(idr) == (head + b"\0" + idr, True)
    assert ParameterSets(head).complete(idr) == (head + b"\0" + idr, True)


def test_a_memory_to_memory_device_is_asked_for_h264(tmp_path):
    (tmp_path / "video0").write_bytes(b"")

    def ioctl(formats, capabilities):
        def answer(handle, request, data):  # noqa: ARG001
            if request == 0x80685600:
                struct.pack_into("<II", data, 84, 0x80000000, capabilities)
                return
            index, kind = struct.unpack_from("<II", data, 0)
            assert kind == 9, "what a multi-planar device gives"
            if index >= len(formats):
                raise OSError(22, "Invalid argument")
            data[44:48] = formats[index]

        return answer

    path = str(tmp_path / "video0")
    assert h264_presence.gives_h264(path, ioctl([b"MJPG", b"H264"], 0x4000))
    assert not h264_presence.gives_h264(path, ioctl([b"MJPG"], 0x4000))
    assert not h264_presence.gives_h264(path, ioctl([b"H264"], 0x1)), (
        "a camera that gives H.264 encodes nothing of ours"
    )
    assert not h264_presence.gives_h264(str(tmp_path / "none"), ioctl([b"H264"], 0x4000))


def test_jetsons_encoder_needs_its_device_and_its_element(monkeypatch):
    there = SimpleNamespace(ElementFactory=SimpleNamespace(find=lambda name: name == "nvv4l2h264enc" or None))
    monkeypatch.setattr(h264_presence, "start", lambda name: there)  # noqa: ARG005
    monkeypatch.setattr(h264_presence.os.path, "exists", lambda path: False)  # noqa: ARG005
    assert not h264_presence.has_jetson(), "as on an Orin Nano"
    monkeypatch.setattr(h264_presence.os.path, "exists", lambda path: path == "/dev/v4l2-nvenc")
    assert h264_presence.has_jetson()
    there.ElementFactory.find = lambda name: None  # noqa: ARG005
    assert not h264_presence.has_jetson()


def need_x264enc():
    try:
        gst = gstreamer_bindings.start("this test")
    except VideoError:
        pytest.skip("needs python3-gi gir1.2-gst-plugins-base-1.0 from Debian (apt-get)")
    if not (gst.ElementFactory.find("x264enc") and gst.ElementFactory.find("h264parse")):
        pytest.skip("needs gstreamer1.0-plugins-ugly gstreamer1.0-plugins-bad from Debian (apt-get)")


def test_a_gstreamer_element_that_gives_no_more_has_failed(monkeypatch):
    need_x264enc()
    monkeypatch.setattr(gstreamer_encoder, "_NEXT_SECONDS", 0.01)
    element = "videoconvert ! video/x-raw,format=I420 ! valve name=valve ! x264enc tune=zerolatency threads=1"
    encoder = GstreamerEncoder(WANTED, element)
    assert encoder.encode(picture(0), 0, key=True)
    encoder._pipeline.get_by_name("valve").set_property("drop", True)
    for index in range(1, gstreamer_encoder._MOST_EMPTY):
        assert not encoder.encode(picture(index), index * 3600, key=False)
    with pytest.raises(EncoderError, match="gives nothing"):
        encoder.encode(picture(99), 99 * 3600, key=False)
    encoder.close()


def test_a_gstreamer_element_encodes_like_the_others():
    need_x264enc()
    element = "videoconvert ! video/x-raw,format=I420 ! x264enc tune=zerolatency threads=1 key-int-max=100"
    encoder = GstreamerEncoder(WANTED, element)
    items = [item for index in range(10) for item in encoder.encode(picture(index), index * 3600, key=index in (0, 6))]
    encoder.close()
    assert [index for index, item in enumerate(items) if item.is_key] == [0, 6]
    assert [item.ticks for item in items] == [index * 3600 for index in range(len(items))]
    assert [timecode.read(image) for image in decoded("h264", items)][:8] == [float(index) for index in range(8)]
    with pytest.raises(EncoderError, match="no element"):
        GstreamerEncoder(WANTED, "nosuchencoder")
