"""What the live page's server answers, and whom: no browser needed."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from datetime import datetime

import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.results import Label, SemanticResult, Timings
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import SourceInfo

pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
pytest.importorskip("prometheus_client", reason="needs the extra segrt[web]")
from segrt.runtime.stream.sinks.live_page import PageSink
from segrt.runtime.stream.web.hub import MOST_CLIENTS

pytestmark = pytest.mark.timeout(60)
LABELS = (Label("road", 0, False, (255, 0, 0)), Label("car", 1, True, (0, 0, 255)))
SIZE = (90, 160)


def frame_at(index, source_id="cam"):
    image = np.random.default_rng(index).integers(0, 255, (*SIZE, 3), np.uint8)
    return Frame(image, index, index / 10, time.monotonic(), source_id)


def semantic():
    return SemanticResult(np.zeros(SIZE, np.uint8), LABELS, timings=Timings(1.0, 2.5, 0.5))


class Served:
    """A sink that serves, with its recorder."""

    def __init__(self, uri="http://127.0.0.1:0", sources=("cam",)):
        self.sink = PageSink(uri)
        self.recorder = Recorder(list(sources))
        self.recorder._execution = {"model": "cars", "backend": "onnxruntime", "precision": "int8"}
        self.sink.watch(self.recorder, "http")
        self.sink.open([SourceInfo(name, live=True) for name in sources])
        match = re.match(r"http://([^/]+):(\d+)/(?:\?token=(.+))?$", self.sink.address)
        self.port, self.token = int(match.group(2)), match.group(3)

    def get(self, path, method="GET", **headers):  # noqa: D102
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, answer.headers

    def show(self, index=0, source_id="cam"):  # noqa: D102
        self.recorder.entered(source_id)
        self.recorder.took(source_id, "inference", 4.5)
        self.recorder.finished(source_id, 20.0 + index, 0)
        self.sink.write(frame_at(index, source_id), semantic(), None)


@pytest.fixture
def served():
    opened = Served()
    yield opened
    opened.sink.close()


def test_latest_result_picture_and_health(served):
    assert served.get("/result.json")[0] == 503
    assert served.get("/healthz")[:2] == (503, b"no recent frames: cam: no frame yet\n")
    served.show(7)
    status, body, _ = served.get("/result.json")
    said = json.loads(body)
    assert (status, said["index"], said["areas"]) == (200, 7, {"road": 90 * 160})
    assert abs(datetime.fromisoformat(said["time"]).timestamp() - time.time()) < 30
    assert 0 <= said["age_ms"] < 30_000
    assert said["latency_ms"] == {"preprocess": 1.0, "inference": 2.5, "postprocess": 0.5, "total": 4.0}
    assert served.get("/frame.jpg")[1][:2] == b"\xff\xd8"
    assert served.get("/healthz")[:2] == (200, b"ok\n")
    served.recorder.entered_state("cam", "lost")
    assert served.get("/healthz")[0] == 503
    assert served.get("/nothing")[0] == 404


def test_metrics_are_those_of_the_metrics_file(served):
    for index in range(20):
        served.show(index)
    served.recorder.dropped("cam")
    served.recorder.reconnected("cam")
    served.recorder.sink("http", written=20, dropped=3)
    lines = dict(
        line.rsplit(" ", 1) for line in served.get("/metrics")[1].decode().splitlines() if not line.startswith("#")
    )
    values = {name: float(value) for name, value in lines.items()}
    metrics = served.recorder.metrics()
    for name in ("frames_in", "frames_out", "dropped", "reconnects", "nonfinite_heads"):
        assert values[f'segrt_{name}_total{{source="cam"}}'] == getattr(metrics, name)
    assert values['segrt_frame_age_ms{quantile="0.95",source="cam"}'] == metrics.frame_age_ms.p95
    stage = 'segrt_stage_ms{quantile="0.5",source="cam",stage="inference"}'
    assert values[stage] == metrics.stages["inference"].p50_ms == 4.5
    assert values['segrt_sink_dropped_total{sink="http"}'] == 3
    assert values['segrt_class_share{class="road",source="cam"}'] == 1
    assert values['segrt_class_share{class="car",source="cam"}'] == 0
    assert not any(name.startswith("segrt_class_count{") for name in values), "a semantic map counts nothing"
    (info,) = (name for name in values if name.startswith("segrt_info{"))
    assert 'model="cars"' in info
    assert 'precision="int8"' in info


def test_pages_of_one_browser_leave_it_a_connection(served):
    def ask(browser):
        return served.get(f"/stream?browser={browser}", method="GET")

    viewers = [open_stream(served, "?browser=one") for _ in range(5)]
    wait_for(lambda: served.sink._hub.clients() == 5)
    status, body, _ = ask("one")
    assert (status, b"5 pages of this browser are watching" in body) == (503, True)
    viewers.append(open_stream(served, "?browser=other"))
    viewers.append(open_stream(served))
    for viewer in viewers:
        viewer.close()


def test_a_source_that_has_ended_is_said(served):
    served.show(1)
    served.recorder.ended("cam")
    assert json.loads(served.get("/state.json")[1])["states"] == {"cam": "ended"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:9"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 200),
    ],
)
def test_other_origins_and_foreign_names_are_refused(served, headers, status):
    got, _, answer = served.get("/", **headers)
    assert got == status
    assert "default-src 'none'" in answer["content-security-policy"]
    assert answer["access-control-allow-origin"] is None
    assert answer["x-content-type-options"] == "nosniff"


def test_only_reading_is_answered(served):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert served.get("/", method=method)[0] == 405


def test_elsewhere_a_token_is_needed():
    served = Served("http://0.0.0.0:0")
    try:
        assert len(served.token) >= 16
        assert served.get("/healthz")[0] == 503
        for path in ("/", "/result.json", "/metrics", "/stream", "/page.js"):
            assert served.get(path)[0] == 401
            assert served.get(f"{path}?token=wrong")[0] == 401
        status, _, headers = served.get(f"/?token={served.token}")
        cookie = headers["set-cookie"]
        assert status == 200
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert served.get("/page.js", Cookie=cookie.partition(";")[0])[0] == 200
        assert served.get("/metrics", Authorization=f"Bearer {served.token}")[0] == 200
        assert served.get("/metrics", Authorization="Bearer wrong")[0] == 401
    finally:
        served.sink.close()


def test_a_given_token_is_asked_for_on_loopback_too_and_not_repeated():
    served = Served("http://127.0.0.1:0/?token=hunter2-hunter2")
    try:
        assert "hunter2" not in served.sink.address
        assert served.get("/result.json")[0] == 401
        assert served.get("/result.json?token=hunter2-hunter2")[0] == 503
    finally:
        served.sink.close()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://127.0.0.1", "must be http://HOST:PORT"),
        ("http://127.0.0.1:99999", "must be http://HOST:PORT"),
        ("http://127.0.0.1:0/path", "must be http://HOST:PORT"),
        ("http://203.0.113.9:8080", "cannot listen there"),
        ("http://127.0.0.1:0/?token=a%20b", r"the token must be 8 or more"),
    ],
)
def test_wrong_addresses_are_refused(uri, message):
    with pytest.raises(VideoError, match=message):
        PageSink(uri)


def test_a_taken_port_is_said(served):
    with pytest.raises(VideoError, match="choose another port"):
        PageSink(f"http://127.0.0.1:{served.port}")


def open_stream(served, query=""):
    connection = socket.create_connection(("127.0.0.1", served.port))
    connection.sendall(b"GET /stream" + query.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def wait_for(condition):
    deadline = time.monotonic() + 15
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_a_frame_is_encoded_once_for_all_and_not_at_all_for_nobody(served, monkeypatch):
    calls = []
    monkeypatch.setattr(served.sink._hub, "_encode", lambda *pair, **_: calls.append(pair) or b"x" * 100)
    served.show(0)
    assert calls == []
    viewers = [open_stream(served) for _ in range(5)]
    wait_for(lambda: served.sink._hub.clients() == 5)
    served.show(1)
    assert len(calls) == 1
    for viewer in viewers:
        received = b""
        while received.count(b"x") < 100:
            received += viewer.recv(4096)
        viewer.close()
    wait_for(lambda: served.sink._hub.clients() == 0)


def test_a_browser_that_sleeps_is_dropped_and_holds_nobody_up(served, monkeypatch):
    monkeypatch.setattr("segrt.runtime.stream.web.app.SEND_SECONDS", 0.5)
    monkeypatch.setattr(served.sink._hub, "_encode", lambda *_, **__: bytes(2_000_000))
    sleeper = open_stream(served)
    wait_for(lambda: served.sink._hub.clients() == 1)
    longest = 0.0
    for index in range(60):
        start = time.monotonic()
        served.show(index)
        longest = max(longest, time.monotonic() - start)
        time.sleep(0.02)
    wait_for(lambda: served.sink._hub.clients() == 0)
    assert longest < 1.0
    sleeper.close()


def test_there_is_an_end_to_the_number_of_browsers(served):
    viewers = [open_stream(served) for _ in range(MOST_CLIENTS)]
    assert served.get("/stream")[0] == 503
    for viewer in viewers:
        viewer.close()


def test_closing_sends_everybody_away():
    served = Served()
    viewer = open_stream(served)
    start = time.monotonic()
    served.sink.close()
    assert time.monotonic() - start < 5
    viewer.settimeout(5)
    while viewer.recv(4096):
        pass
    viewer.close()


def test_several_sources_are_picked_by_name():
    served = Served(sources=("a", "b&c"))
    try:
        served.show(1, "a")
        served.show(2, "b&c")
        assert json.loads(served.get("/result.json?source=b%26c")[1])["index"] == 2
        assert served.get("/stream?source=nobody")[0] == 404
        assert b'source="b&c"' in served.get("/metrics")[1]
    finally:
        served.sink.close()


@pytest.mark.parametrize(
    ("module", "spec", "extra"), [("uvicorn", "http://127.0.0.1:0", "web"), ("paho", "mqtt://host/topic", "mqtt")]
)
def test_a_missing_extra_is_one_line(module, spec, extra):
    code = f"""
import sys
sys.modules[{module!r}] = None
from segrt.runtime.errors import SegrtError
from segrt.runtime.stream.sinks.sink_kinds import open_sink
try:
    open_sink({spec!r})
except SegrtError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pip install 'segrt[{extra}]'" in done.stdout
    assert done.stdout.count("\n") == 1
