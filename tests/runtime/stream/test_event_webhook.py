"""Events by webhook: in order over failures, dropped where refused, never in the stream's way."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from walkers import DOOR, lines_of, plan, run, wait_for

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.events import webhook
from segrt.runtime.stream.events.event_kinds import open_events
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.zones_step import ZonesStep


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
