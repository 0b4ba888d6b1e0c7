"""Video pushed to real servers: RTSP and SRT by GStreamer, RTMP by FFmpeg; away, killed, hanging, refusing."""

import socket
import subprocess
import threading
import time

import av
import pytest
from leaving_camera import SIZE, Camera, PushedTo, free_port, need_gstreamer

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.encoders.encoded import Encoded
from segrt.runtime.outputs.encoders.live_encoder import LiveEncoder
from segrt.runtime.outputs.gstreamer_bindings import start
from segrt.runtime.stream import timecode
from segrt.runtime.stream.sinks.leaving import push_outlet, srt_child
from segrt.runtime.stream.sinks.leaving.leaving_address import read_pushed
from segrt.runtime.stream.sinks.leaving.push_outlet import PushOutlet
from segrt.runtime.stream.sinks.sink_kinds import open_sink

pytestmark = pytest.mark.timeout(60)


def test_rtsp_goes_on_when_its_server_comes_and_goes(caplog):
    need_gstreamer("rtph264depay", "h264parse", rtsp_server=True)
    port = free_port()
    server = PushedTo("record_server.py", port, "me:hunter2")
    camera = Camera(f"rtsp://me:hunter2@127.0.0.1:{port}/in")
    deadline = time.monotonic() + 10
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.02)
    server.start()
    try:
        width, height, seconds, arrived = server.wait(5)
        assert (height, width) == SIZE
        assert arrived - seconds < 5.0, "nothing heaps up"
        server.kill()
        server.start()
        assert server.wait(5)[2] > seconds
    finally:
        counts = camera.counts()
        camera.end()
        server.kill()
    assert counts.failures == 2
    assert counts.dropped > 0
    assert counts.written >= 10
    assert "cannot be sent to (Connection refused)" in caplog.text
    assert "works again" in caplog.text
    assert "hunter2" not in caplog.text


def test_srt_goes_to_a_listener_with_a_passphrase():
    need_gstreamer("srtsrc", "srtsink", "tsdemux", "h264parse")
    port = free_port()
    server = PushedTo("srt_server.py", port, "hunter2hunter2")
    server.start()
    camera = Camera(f"srt://127.0.0.1:{port}?latency=60&passphrase=hunter2hunter2")
    try:
        width, height, seconds, arrived = server.wait(5)
        assert (height, width) == SIZE
        assert arrived - seconds < 5.0, "nothing heaps up"
    finally:
        camera.end()
        server.kill()
    assert camera.counts().written >= 5
    assert camera.counts().failures <= 1, "it may have come before the server was there"


def test_srt_to_nobody_is_said_without_its_passphrase(monkeypatch):
    need_gstreamer("srtsink", "mpegtsmux", "h264parse")
    monkeypatch.setattr(push_outlet, "_OPEN_SECONDS", 6.5)
    sink = open_sink(f"srt://127.0.0.1:{free_port()}?passphrase=hunter2hunter2")
    outlet = sink._outlet("")
    with pytest.raises(VideoError, match="cannot be sent to") as failure:
        outlet.send(LiveEncoder(25).encode(picture_of(1), 0)[0], 1)
    assert "hunter2" not in str(failure.value)
    assert outlet.wants_key()


def test_the_last_pictures_leave_over_srt(tmp_path):
    need_gstreamer("mpegtsmux", "h264parse")
    gst, file = start("this test"), tmp_path / "sent.ts"
    pipeline = gst.parse_launch(srt_child._LAUNCH.partition("srtsink")[0] + f"filesink location={file} buffer-mode=2")
    pipeline.set_state(gst.State.PLAYING)
    encoder = LiveEncoder(25)
    sent = [item for index in range(8) for item in encoder.encode(picture_of(index), index * 3600)]
    for item in sent:
        buffer = gst.Buffer.new_wrapped(item.data)
        buffer.pts = buffer.dts = item.ticks * gst.SECOND // 90_000
        pipeline.get_by_name("in").emit("push-buffer", buffer)
    srt_child._finish(gst, pipeline)
    with av.open(str(file)) as container:  # before the pipeline is taken apart, which the child never does
        arrived = sum(1 for _ in container.decode(video=0))
    pipeline.set_state(gst.State.NULL)
    assert arrived == len(sent)


def test_rtmp_reaches_a_server():
    port = free_port()
    uri = f"rtmp://127.0.0.1:{port}/app/key"
    seen = []

    def listen():
        with av.open(uri, options={"listen": "1", "analyzeduration": "200000"}, timeout=20) as container:
            for frame in container.decode(video=0):
                seen.append((frame.height, frame.width, timecode.read(frame.to_ndarray(format="bgr24"))))
                if len(seen) == 5:
                    return

    listening = threading.Thread(target=listen)
    listening.start()
    time.sleep(0.2)
    camera = Camera(uri)
    listening.join(20)
    camera.end()
    assert [size for *size, _ in seen] == [list(SIZE)] * 5
    codes = [code for *_, code in seen]
    assert codes == sorted(codes)


def test_a_server_that_says_nothing_holds_up_its_own_sink_alone(monkeypatch):
    monkeypatch.setattr(push_outlet, "_OPEN_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"rtmp://me:hunter2@127.0.0.1:{silent.getsockname()[1]}/app/key"
        outlet = PushOutlet(read_pushed(uri))
        key = LiveEncoder(25).encode(picture_of(1), 0)[0]
        ticking, counted = threading.Event(), []
        ticker = threading.Thread(target=lambda: [counted.append(1) for _ in iter(lambda: ticking.wait(0.01), True)])
        ticker.start()
        with pytest.raises(VideoError, match=r"cannot be sent to \(it has not answered for 1 s\)") as failure:
            outlet.send(key, 1)
        ticking.set()
        ticker.join()
        assert len(counted) > 5, "other threads have run meanwhile"
        assert "hunter2" not in str(failure.value)
        outlet.close()


def test_a_server_that_takes_nothing_is_noticed(monkeypatch):
    monkeypatch.setattr(push_outlet, "_SEND_SECONDS", 0.3)
    command = ["sh", "-c", "echo ok; exec sleep 60"]  # in the place of a child whose server reads no more
    real = subprocess.Popen
    monkeypatch.setattr(push_outlet.subprocess, "Popen", lambda _, **given: real(command, **given))
    outlet = PushOutlet(read_pushed("rtmp://192.0.2.10/app/key"))
    outlet.send(Encoded(b"key", 0, True), 1)
    child = outlet._child
    with pytest.raises(VideoError, match=r"it has taken nothing for 0\.3 s"):
        outlet.send(Encoded(bytes(500_000), 1, False), 1)
    assert child.poll() is not None, "it was ended"
    assert outlet.wants_key()


def test_a_refusal_names_its_reason_and_no_secret():
    outlet = PushOutlet(read_pushed(f"rtmp://127.0.0.1:{free_port()}/app/key?token=hunter2"))
    with pytest.raises(VideoError) as failure:
        outlet.send(LiveEncoder(25).encode(picture_of(1), 0)[0], 1)
    assert "Connection refused" in str(failure.value)
    assert "hunter2" not in str(failure.value)
    outlet.close()


def picture_of(seconds):
    from leaving_camera import picture

    return picture(seconds)
