"""Results as MQTT messages, through a real mosquitto that is stopped and started."""

import json
import shutil
import socket
import subprocess
import threading
import time

import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.results import Label, SemanticResult
from segrt.runtime.stream.events.event_kinds import open_events
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sinks.sink import Dropped
from segrt.runtime.stream.sources.source import SourceInfo

mqtt = pytest.importorskip("paho.mqtt.client", reason="needs the extra segrt[mqtt]")
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402

from segrt.runtime.stream.sinks.mqtt import MqttSink  # noqa: E402

pytestmark = pytest.mark.timeout(90)
LABELS = (Label("road", 0, False, (255, 0, 0)),)
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Broker:
    """A mosquitto on a port of its own, which asks for a password; with `tls` it has a certificate of `authority`."""

    def __init__(self, folder, *, tls=False):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "me", "hunter2"], check=True)
        passwords.chmod(0o644)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
            f"persistence true\npersistence_location {folder}/\n"
        )
        self.authority = folder / "ca.pem"
        if tls:
            make_certificates(folder)
            with self._config.open("a") as config:
                config.write(f"certfile {folder}/server.pem\nkeyfile {folder}/server.key\n")
        self.process = None

    def start(self):  # noqa: D102
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def stop(self):  # noqa: D102
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def make_certificates(folder):
    """Make an authority and a certificate for 127.0.0.1, signed by it."""

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)

    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl(*new, *signed, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=127.0.0.1")


@pytest.fixture
def broker(tmp_path):
    if MOSQUITTO is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("needs mosquitto (apt-get install mosquitto)")
    running = Broker(tmp_path)
    running.start()
    yield running
    running.stop()


class Listener:
    """Subscribes to everything, and does not miss what comes while it connects again."""

    def __init__(self, port, authority=None):
        self.messages = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self.client.username_pw_set("me", "hunter2")
        self.client.reconnect_delay_set(1, 1)
        if authority is not None:
            self.client.tls_set(ca_certs=str(authority))
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload, message.qos)
        )
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert subscribed.wait(20), "what is published before is not heard"

    def indices(self, topic="segrt/gate"):  # noqa: D102
        return [json.loads(payload)["index"] for name, payload, _ in list(self.messages) if name == topic]

    def close(self):  # noqa: D102
        self.client.disconnect()
        self.client.loop_stop()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def write(sink, index, source_id="cam"):
    frame = Frame(np.zeros((4, 6, 3), np.uint8), index, index / 10, time.monotonic(), source_id)
    sink.write(frame, SemanticResult(np.zeros((4, 6), np.uint8), LABELS), None)


def opened(uri, sources=("cam",)):
    sink = MqttSink(uri)
    sink.recorder = Recorder(list(sources))
    sink.watch(sink.recorder, "mqtt")
    sink.open([SourceInfo(name) for name in sources])
    return sink


def test_every_result_arrives_over_a_restart_of_the_broker(broker, caplog):
    listener = Listener(broker.port)
    sink = opened(f"mqtt://me:hunter2@127.0.0.1:{broker.port}/segrt/gate")
    try:
        write(sink, 0)
        wait_for(lambda: listener.indices() == [0])
        topic, payload, qos = next(message for message in listener.messages if message[0] == "segrt/gate")
        assert json.loads(payload) == {
            "format": "1.1",
            "source": "cam",
            "index": 0,
            "pts": 0.0,
            "size": [4, 6],
            "technique": "semantic",
            "areas": {"road": 24},
        }
        assert (topic, qos) == ("segrt/gate", 1)
        assert ("segrt/gate/status", b"online", 1) in listener.messages
        broker.stop()
        wait_for(lambda: not sink._client.is_connected())
        for index in range(1, 6):
            write(sink, index)
        broker.start()
        wait_for(lambda: set(listener.indices()) >= set(range(6)), 30)
        assert sink.recorder.metrics().sinks["mqtt"].failures == 1
        assert "the connection is lost" in caplog.text
        assert "is there again" in caplog.text
        assert "hunter2" not in caplog.text
    finally:
        sink.close()
        wait_for(lambda: ("segrt/gate/status", b"offline", 1) in listener.messages)
        listener.close()


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls_trusts_the_given_authority_and_no_other(tmp_path, caplog):
    if MOSQUITTO is None or shutil.which("mosquitto_passwd") is None or shutil.which("openssl") is None:
        pytest.skip("needs mosquitto and openssl (apt-get install mosquitto openssl)")
    running = Broker(tmp_path, tls=True)
    running.start()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    make_certificates(stranger)
    listener = None
    try:
        listener = Listener(running.port, authority=running.authority)
        address = f"me:hunter2@127.0.0.1:{running.port}/segrt/gate"
        sink = opened(f"mqtts://{address}?ca={running.authority}")
        write(sink, 3)
        wait_for(lambda: listener.indices() == [3])
        sink.close()
        assert caplog.text == ""
        for ca in (f"?ca={stranger / 'ca.pem'}", ""):
            distrustful = opened(f"mqtts://{address}{ca}")
            write(distrustful, 4)
            wait_for(lambda: "cannot be reached, or shows a certificate that is not trusted" in caplog.text)
            distrustful.close()
            caplog.clear()
        assert listener.indices() == [3]
    finally:
        if listener is not None:
            listener.close()
        running.stop()


def test_without_a_broker_results_wait_and_then_drop_and_nothing_blocks(caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = opened(f"mqtt://127.0.0.1:{port}/segrt/gate")
    start = time.monotonic()
    for index in range(100):
        write(sink, index)
    with pytest.raises(Dropped, match="wait for the broker"):
        write(sink, 100)
    assert time.monotonic() - start < 5
    wait_for(lambda: "cannot be reached" in caplog.text)
    sink.close()


def test_a_wrong_password_is_said_and_not_shown(broker, caplog):
    sink = opened(f"mqtt://me:wrong1@127.0.0.1:{broker.port}/segrt/gate")
    wait_for(lambda: "refuses the connection (Not authorized)" in caplog.text)
    assert "wrong1" not in caplog.text
    sink.close()
    assert threading.active_count() < 20


def test_several_sources_have_topics_of_their_own(broker, monkeypatch):
    monkeypatch.setenv("SEGRT_MQTT_PASSWORD", "hunter2")
    listener = Listener(broker.port)
    sink = opened(f"mqtt://me@127.0.0.1:{broker.port}/yard", ("rtsp://***@a/gate", "rtsp://***@a/door"))
    write(sink, 1, "rtsp://***@a/gate")
    write(sink, 2, "rtsp://***@a/door")
    wait_for(lambda: listener.indices("yard/gate") == [1] and listener.indices("yard/door") == [2])
    sink.close()
    listener.close()


def test_results_of_a_source_called_status_go_beside_the_topic_that_says_online(broker, monkeypatch, caplog):
    monkeypatch.setenv("SEGRT_MQTT_PASSWORD", "hunter2")
    listener = Listener(broker.port)
    sink = opened(f"mqtt://me@127.0.0.1:{broker.port}/yard", ("rtsp://a/status", "rtsp://a/door"))
    assert "yard/status says another thing, so results of rtsp://a/status go to yard/status_" in caplog.text
    write(sink, 1, "rtsp://a/status")
    wait_for(lambda: listener.indices("yard/status_") == [1])
    sink.close()
    listener.close()


@pytest.mark.parametrize(
    "uri", ["mqtt://", "mqtt://host", "mqtt://host/", "mqtt://host/a/#", "mqtt://me:hunter2@host:99999/x"]
)
def test_wrong_addresses_are_refused(uri):
    with pytest.raises(VideoError, match="must be mqtt://HOST") as failure:
        MqttSink(uri)
    assert "hunter2" not in str(failure.value)


def test_certificates_that_are_not_there_are_said():
    with pytest.raises(VideoError, match="cannot be read as certificates"):
        MqttSink("mqtts://host/topic?ca=/nosuch.pem")


def test_events_of_zones_arrive_over_a_restart_of_the_broker(broker, caplog):
    listener = Listener(broker.port)
    output = open_events(f"mqtt://me:hunter2@127.0.0.1:{broker.port}/yard")
    recorder = Recorder(["cam"])
    output.begin(recorder, "events mqtt", live=True)
    output.put(b'{"event":"count","index":0}', None)
    wait_for(lambda: listener.indices("yard/events") == [0])
    broker.stop()
    wait_for(lambda: not output._link.client.is_connected())
    for index in range(1, 4):
        output.put(b'{"event":"count","index":%d}' % index, None)
    broker.start()
    wait_for(lambda: set(listener.indices("yard/events")) == set(range(4)), 30)
    output.close()
    assert recorder.metrics().sinks["events mqtt"].written == 4
    assert "hunter2" not in caplog.text
    listener.close()


def test_events_that_no_broker_takes_are_dropped_and_counted_and_nothing_blocks():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output = open_events(f"mqtt://127.0.0.1:{port}/yard")
    recorder = Recorder(["cam"])
    output.begin(recorder, "events mqtt", live=True)
    for _ in range(1003):
        output.put(b"{}", None)
    output.close()
    sink = recorder.metrics().sinks["events mqtt"]
    assert (sink.written, sink.dropped) == (1000, 3)
