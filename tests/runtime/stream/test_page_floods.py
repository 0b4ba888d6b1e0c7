"""Whoever can connect to the live page takes neither the recording's descriptors nor health from anybody else."""

import contextlib
import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.results import Label, SemanticResult
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sources.source import SourceInfo

pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
pytest.importorskip("prometheus_client", reason="needs the extra segrt[web]")
from segrt.runtime.stream.sinks.live_page import PageSink
from segrt.runtime.stream.web import admission, connection
from segrt.runtime.stream.web.admission import Budget, Pace, budget, least_missed

pytestmark = pytest.mark.timeout(90)
HALF = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "


def show(sink, index=0):
    image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    result = SemanticResult(np.zeros((720, 1280), np.uint8), (Label("road", 0, False, (255, 0, 0)),))
    sink.write(Frame(image, index, 0.0, time.monotonic(), "cam"), result, None)


@pytest.fixture
def page(monkeypatch):
    """A page with room for 8 connections, which is impatient."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.5)
    monkeypatch.setattr(admission, "budget", lambda _: Budget(8, 1 << 20))
    sink = PageSink("http://127.0.0.1:0")
    sink.open([SourceInfo("cam", live=True)])
    show(sink)
    yield sink
    sink.close()


def port_of(sink):
    return int(sink.address.rstrip("/").rpartition(":")[2])


def connect(port, first=b""):
    opened = socket.create_connection(("127.0.0.1", port), timeout=10)
    opened.sendall(first)
    return opened


def ask(port, path="/healthz"):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", path)
    status = client.getresponse().status
    client.close()
    return status


def ends(opened):
    """Read to the end of a connection; return after how many seconds it came."""
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while opened.recv(1 << 20):
            pass
    opened.close()
    return time.monotonic() - start


@pytest.mark.parametrize(
    "first",
    [b"", b"G", HALF, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + HALF],
    ids=["nothing", "a letter", "half a header", "half a header after a request"],
)
def test_a_request_that_does_not_come_is_not_waited_for(page, first):
    assert 0.5 < ends(connect(port_of(page), first)) < 5


def test_a_request_that_dribbles_in_is_not_waited_for(page):
    dribbling = connect(port_of(page), HALF)
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < start + 20:
            dribbling.sendall(b"x")
            time.sleep(0.1)
    assert time.monotonic() - start < 5
    dribbling.close()


def test_a_body_is_not_waited_for(page):
    head = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
    assert ends(connect(port_of(page), head)) < 1


def test_an_answer_that_is_not_read_is_not_kept(page):
    asking = b"GET /frame.jpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50
    sleeping = connect(port_of(page), asking)
    deadline = time.monotonic() + 20
    while page._server.server_state.connections and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not page._server.server_state.connections
    sleeping.close()


def test_an_answer_that_is_read_slowly_is_sent_whole(page):
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    slow.connect(("127.0.0.1", port_of(page)))
    slow.sendall(b"GET /frame.jpg HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    got, start = b"", time.monotonic()
    while part := slow.recv(32_768):
        got += part
        time.sleep(0.05)
    slow.close()
    head, _, body = got.partition(b"\r\n\r\n")
    assert len(body) == int(dict(line.split(b": ", 1) for line in head.splitlines()[1:])[b"content-length"])
    assert time.monotonic() - start > 0.8, "longer than an answer that is not read is kept"


def test_whoever_comes_is_let_in_and_whoever_watches_stays(page):
    port = port_of(page)
    viewers = [connect(port, b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") for _ in range(4)]
    for viewer in viewers:
        assert viewer.recv(12) == b"HTTP/1.1 200"
    assert ask(port, "/stream") == 503, "half of the room is not for viewers"
    crowd = []
    for _ in range(5):
        crowd += [connect(port, first) for first in (b"", HALF) for _ in range(8)]
        for path in ("/healthz", "/metrics"):
            assert ask(port, path) == 200
    assert len(page._server.server_state.connections) <= 8
    show(page, 1)
    for viewer in viewers:
        assert len(viewer.recv(4096)) > 0, "a viewer was sent away"
    for opened in (*viewers, *crowd):
        opened.close()


@dataclass(eq=False)
class Held:
    """A connection, as the choice sees it."""

    name: str
    answering: bool = False
    admitted: bool = False
    stuck: bool = False
    since: float = 0.0
    peer: str = "a"


def test_the_one_that_is_missed_least_makes_room():
    everybody = [
        Held("viewer", answering=True, admitted=True),
        Held("sleeper", answering=True, admitted=True, stuck=True),
        Held("stranger", answering=True),
        Held("browser between requests", admitted=True),
        Held("newer idler", since=5.0),
        Held("idler", since=1.0),
        Held("lone idler", since=0.0, peer="b"),
    ]
    order = []
    while (leaving := least_missed(everybody)) is not None:
        order.append(leaving.name)
        everybody.remove(leaving)
    assert order == ["idler", "lone idler", "newer idler", "browser between requests", "stranger", "sleeper"]
    assert [held.name for held in everybody] == ["viewer"]


def test_the_pace_lets_a_burst_through_and_then_so_many_a_second():
    now = [0.0]
    pace = Pace(10, 3, clock=lambda: now[0])
    assert [round(pace.delay(), 3) for _ in range(5)] == [0, 0, 0, 0.1, 0.2]
    now[0] = 100.0
    assert [round(pace.delay(), 3) for _ in range(4)] == [0, 0, 0, 0.1]


@pytest.mark.parametrize(("limit", "room"), [(1 << 20, 128), (1024, 128), (256, 91), (64, 19), (16, None)])
def test_a_share_of_the_descriptors_is_left_to_the_recording(monkeypatch, limit, room):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    given = budget(10)
    if room is None:
        assert given is None
        with pytest.raises(VideoError, match="too few descriptors"):
            PageSink("http://127.0.0.1:0")
    else:
        assert given.connections == room
        assert given.highest <= limit * 3 / 4 + 1 or limit - given.highest == 256


def test_a_flood_takes_no_result_from_the_recording(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "stream",
        "street-semantic",
        "street://?seed=1&fps=10&width=128&height=96",
        "--threads",
        "1",
        "--segment",
        "1s",
    ]
    for sink in (tmp_path / "out.mp4", tmp_path / "out.jsonl", f"http://127.0.0.1:{port}"):
        command += ["--sink", str(sink)]
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from segrt.runtime.cli import main; main()",
            *command,
            "--metrics",
            tmp_path / "m.json",
        ],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
        stdout=subprocess.DEVNULL,
    )
    crowd = []
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if ask(port) == 200:
                    break
            time.sleep(0.1)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                crowd += [connect(port, HALF if len(crowd) % 2 else b"") for _ in range(40)]
            assert ask(port) == 200
            assert ask(port, "/metrics") == 200
            time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.wait()
        for opened in crowd:
            opened.close()
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert len(crowd) > 150
    for sink in ("mp4", "jsonl"):
        counts = metrics["sinks"][sink]
        assert counts["failures"] == 0
        # A machine that is busy with something else may be late with one or two.
        assert counts["written"] >= 0.9 * metrics["frames_out"]
