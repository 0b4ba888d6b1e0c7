"""Video served over RTSP by GStreamer's server: several readers and one encoder, and readers that behave badly."""

import socket
import threading
import time

import av
import av.error
import pytest
from leaving_camera import FPS, SIZE, Camera, count_encoding, free_port, need_gstreamer

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream import timecode
from segrt.runtime.stream.sinks.leaving import rtsp_serving
from segrt.runtime.stream.sinks.sink_kinds import open_sink

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def port():
    need_gstreamer("rtph264pay", "h264parse", rtsp_server=True)
    return free_port()


def watch(uri, count, seen, transport="tcp", until=lambda: True):
    """Read `count` pictures, and more until `until()`, for 20 s at most; note (time code, age in seconds) of each."""
    deadline = time.monotonic() + 20
    with av.open(uri, options={"rtsp_transport": transport}, timeout=10) as container:
        for frame in container.decode(video=0):
            now, code = time.monotonic(), timecode.read(frame.to_ndarray(format="bgr24"))
            assert (frame.height, frame.width) == SIZE
            seen.append((code, None if code is None else now - code))
            if len(seen) >= count and (until() or time.monotonic() > deadline):
                return


def test_two_readers_get_every_picture_of_one_encoder_which_rests_without_them(port, monkeypatch):
    encoded = count_encoding(monkeypatch)
    uri = f"rtsp://127.0.0.1:{port}/cam"
    camera = Camera(f"{uri}?listen=1")
    assert camera.sink.address == uri
    time.sleep(0.3)
    assert encoded == [], "nobody reads"
    seen = {transport: [] for transport in ("tcp", "udp")}

    def codes():
        return [{code for code, _ in list(pictures) if code is not None} for pictures in seen.values()]

    def enough():
        tcp, udp = codes()
        return min(len(tcp), len(udp), 2 * len(tcp & udp)) >= 20

    readers = [threading.Thread(target=watch, args=(uri, 25, seen[name], name, enough)) for name in seen]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(encoded) == len(set(encoded)), "each picture is encoded once, whoever reads"
    assert enough(), "both have seen the same"
    ages = sorted(age for pictures in seen.values() for _, age in pictures if age is not None)
    assert ages[len(ages) // 2] < 5.0
    deadline = time.monotonic() + 10
    while camera.sink._tracks["cam"]._outlet.is_wanted() and time.monotonic() < deadline:
        time.sleep(0.05)
    rested = len(encoded)
    time.sleep(0.2)
    assert len(encoded) <= rested + 1, "it rests again"
    camera.end()
    assert camera.counts().failures == 0
    with pytest.raises((av.error.FFmpegError, OSError)):
        watch(uri, 1, [])


def test_a_reader_that_reads_nothing_disturbs_nobody(port):
    uri = f"rtsp://127.0.0.1:{port}/cam"
    camera = Camera(f"{uri}?listen=1")
    with socket.create_connection(("127.0.0.1", port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ask(deaf, f"DESCRIBE {uri} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp")
        answer = ask(
            deaf, f"SETUP {uri}/stream=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1"
        )
        session = answer.partition("Session: ")[2].split(";")[0].split("\r\n")[0]
        ask(deaf, f"PLAY {uri} RTSP/1.0\r\nCSeq: 3\r\nSession: {session}")
        seen = []
        watch(uri, 40, seen)
        assert sorted(age for _, age in seen if age is not None)[-5] < 5.0
    counts = camera.counts()
    camera.end()
    assert counts.failures == 0


def ask(connection, request):
    connection.settimeout(20)
    connection.sendall(request.encode() + b"\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(4096)
        assert part, "the server has left"
        answer += part
    return answer.decode(errors="replace")


def test_connections_are_bounded_and_those_that_do_nothing_leave(port, monkeypatch):
    monkeypatch.setattr(rtsp_serving, "MOST_CONNECTIONS", 4)
    uri = f"rtsp://127.0.0.1:{port}/cam"
    camera = Camera(f"{uri}?listen=1")
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(12)]
    seen = []
    watch(uri, 5, seen)
    assert len(seen) == 5
    assert len(camera.sink._server._connections) <= 5
    for connection in idle:
        connection.close()
    camera.end()


def test_several_sources_have_a_path_each_and_the_password_is_asked_for(port):
    camera = Camera(f"rtsp://me:p/w@127.0.0.1:{port}/cam?listen=1", sources=("rtsp://h/gate", "rtsp://h/yard"))
    assert camera.sink.address == f"rtsp://***@127.0.0.1:{port}/cam"
    for name in ("gate", "yard"):
        watch(f"rtsp://me:p%2Fw@127.0.0.1:{port}/cam-{name}", 2, [])
    for user in ("", "me:wrong@"):
        with pytest.raises(av.error.HTTPUnauthorizedError):
            watch(f"rtsp://{user}127.0.0.1:{port}/cam-gate", 1, [])
    camera.end()


def test_a_port_in_use_is_refused_at_once_and_a_free_one_opened_to_all_is_said(port, caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(VideoError, match=r"cannot listen there \(Address already in use\); choose another port"):
            open_sink(f"rtsp://127.0.0.1:{port}/cam?listen=1", SinkOptions(live=True))
    with pytest.raises(VideoError, match="cannot listen there"):
        open_sink(f"rtsp://203.0.113.7:{port}/cam?listen=1")
    sink = open_sink(f"rtsp://0.0.0.0:{port}/cam")
    assert "whoever reaches this port may watch" in caplog.text
    sink.close()


def test_a_stream_of_files_leaves_at_its_own_speed(port, segmenter, fakes):
    from segrt.runtime.stream import run_stream

    began = time.monotonic()
    source = fakes.ListSource(12, size=(32, 32))
    run_stream(segmenter, source, [f"rtsp://127.0.0.1:{port}/cam?listen=1"])
    assert time.monotonic() - began >= 11 / FPS - 0.02
