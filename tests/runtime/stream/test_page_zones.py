"""Zones over the live page's own door: who may save them, and what is answered."""

import http.client
import json
import re
import socket
import time

import pytest
from walkers import DOOR, LABELS

from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import SourceInfo
from segrt.runtime.stream.zone_plans import PlanReader
from segrt.runtime.stream.zone_saving import ZoneSaving
from segrt.runtime.zones.zone_file import MOST_BYTES

pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
pytest.importorskip("prometheus_client", reason="needs the extra segrt[web]")
from segrt.runtime.stream.sinks.live_page import PageSink

pytestmark = pytest.mark.timeout(60)
BODY = json.dumps({"format": "1.0", "zones": [{"name": "door", "polygon": DOOR.polygon}]}).encode()


class Page:
    """A page that may save zones into `path`, with the token that it made."""

    def __init__(self, path, *, edits=True):
        self.sink = PageSink("http://127.0.0.1:0", SinkOptions(edits=edits))
        recorder = Recorder(["cam"])
        recorder.zone_saving = ZoneSaving(path, PlanReader(LABELS, "panoptic")) if edits else None
        self.sink.watch(recorder, "http")
        self.sink.open([SourceInfo("cam", live=True)])
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/(?:\?token=([\w-]+))?", self.sink.address)
        self.port, self.token = int(found[1]), found[2]
        self.own = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}

    def ask(self, method="PUT", path="/zones.json", body=BODY, **headers):
        """Return status, headers and body; a header of None is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        given = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        connection.request(method, path, body=body, headers=given)
        answer = connection.getresponse()
        held = answer.status, dict(answer.getheaders()), answer.read().decode()
        connection.close()
        return held

    def put(self, body=BODY, **headers):  # noqa: D102
        status, _, text = self.ask(body=body, Authorization=f"Bearer {self.token}", **{**self.own, **headers})
        return status, text


@pytest.fixture
def page(tmp_path):
    opened = Page(tmp_path / "zones.json")
    yield opened
    opened.sink.close()


def test_the_token_saves_and_without_it_or_from_elsewhere_nothing_does(page, tmp_path):
    path = tmp_path / "zones.json"
    status, headers, _ = page.ask("GET", f"/?token={page.token}", body=None)
    cookie = headers["set-cookie"].partition(";")[0]
    bearer = f"Bearer {page.token}"
    own = page.own["Origin"]
    for wanted, change in (
        (401, {}),
        (401, {"Authorization": "Bearer wrong-wrong"}),
        (403, {"Cookie": cookie, "Origin": None}),
        (403, {"Cookie": cookie, "Origin": "http://evil.example"}),
        (403, {"Cookie": cookie, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}),
        (403, {"Cookie": cookie, "Sec_Fetch_Site": "none"}),
        (403, {"Cookie": cookie, "Authorization": "Bearer x", "Origin": None}),
        (403, {"Authorization": bearer, "Host": "evil.example"}),
        (415, {"Authorization": bearer, "Content_Type": "text/plain"}),
        (413, {"Authorization": bearer, "Content_Length": str(MOST_BYTES + 1)}),
        (411, {"Authorization": bearer, "Transfer_Encoding": "chunked"}),
    ):
        headers = {"Origin": own, "Content_Type": "application/json", **change}
        body = b"" if "Transfer_Encoding" in change else BODY
        status, headers, said = page.ask(body=body, **headers)
        assert (status, path.exists()) == (wanted, False), (change, said)
        assert said.count("\n") == 1
        assert "set-cookie" not in headers
    assert (
        page.ask(path=f"/zones.json?token={page.token}", **{**page.own, "Content_Type": "application/json"})[0] == 401
    )
    for method in ("POST", "PATCH", "DELETE", "OPTIONS"):
        assert page.ask(method, Authorization=bearer, **page.own)[0] == 405
    assert page.ask(path="/state.json", Authorization=bearer, **page.own)[0] == 405
    assert page.ask(Cookie=cookie, Sec_Fetch_Site="same-origin", **page.own)[0] == 200
    assert path.read_bytes() == BODY
    assert page.ask(Authorization=bearer, Content_Type="application/json")[0] == 200, "a script needs no origin"


def test_answers_say_what_is_wrong_in_one_line(page):
    status, said = page.put(
        b'{"format": "1.0", "zones": [{"name": "door", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}]}'
    )
    assert status == 422
    assert json.loads(said)["error"].startswith("zones.json: zone 'door': crosses itself, edge 1 meets edge 3")
    status, said = page.put(If_Match='"other"')
    assert (status, "by another page" in json.loads(said)["error"]) == (412, True)
    status, said = page.put(If_Match='""')
    revision = json.loads(said)["revision"]
    state = json.loads(page.ask("GET", "/state.json", body=None, Authorization=f"Bearer {page.token}")[2])
    assert (status, state["zones_file"]) == (200, {"name": "zones.json", "revision": revision})
    assert page.put(If_Match=f'"{revision}"')[0] == 200


def test_a_body_that_does_not_come_keeps_nobody(page, monkeypatch):
    monkeypatch.setattr("segrt.runtime.stream.web.zone_answer._BODY_SECONDS", 0.3)
    head = (
        f"PUT /zones.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {page.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as connection:
        connection.sendall(head.encode())
        begun, answer = time.monotonic(), b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begun < 8


def test_a_page_that_may_not_save_takes_nothing_and_needs_no_token(tmp_path):
    page = Page(tmp_path / "zones.json", edits=False)
    try:
        assert page.token is None
        assert page.ask(**page.own)[0] == 405
        assert json.loads(page.ask("GET", "/state.json", body=None)[2])["zones_file"] is None
    finally:
        page.sink.close()
