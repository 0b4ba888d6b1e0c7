"""Nobody gets anything of the live page, or a credential for it, without the token: every path, method and header."""

import re
import socket
import time

import numpy as np
import pytest

from segrt.runtime.results import Label, SemanticResult
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import SourceInfo

pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
pytest.importorskip("prometheus_client", reason="needs the extra segrt[web]")
from segrt.runtime.stream.sinks.live_page import PageSink

pytestmark = pytest.mark.timeout(60)
TOKEN = "hunter2-Hunter2_hunter2"
CAMERA = "rtsp://***@cam-17/street"
PATHS = (
    "/", "/page.css", "/page.js", "/state.json", "/result.json", "/frame.jpg", "/metrics", "/stream", "/nothing",
    "/healthz", "/healthz/", "//healthz", "/healthz/../state.json", "/healthz%2f..%2fstate.json", "/healthz;a=b",
    "/%68ealthz", "/HEALTHZ", "http://127.0.0.1/healthz", "http://127.0.0.1/state.json",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get")
QUERIES = (
    "", "?token", "?token=", "?token=x", f"?token={TOKEN[:-1]}", f"?token={TOKEN}x", f"?token={TOKEN}%00",
    f"?TOKEN={TOKEN}", f"?token=x&token={TOKEN}", f"?x={TOKEN}", "?" + "&".join(["token=x"] * 70), "?token=%ff%fe",
)  # fmt: skip
HEADERS = (
    "Cookie: segrt_{port}=",
    "Cookie: segrt_{port}=x",
    "Cookie: segrt_{port}={token}",
    'Cookie: segrt_{port}="\\\\\\"',
    "Cookie: token={token}",
    "Authorization: Bearer",
    "Authorization: Bearer x",
    "Authorization: Basic {token}",
    "Authorization: {token}",
    "Authorization: Bearer x\r\nAuthorization: Bearer {token}",
    "Origin: http://127.0.0.1:{port}",
    "Origin: http://evil.example",
    "Origin: http://[",
    "Origin: null",
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate",
    "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1",
    "X-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz",
    "X-HTTP-Method-Override: GET",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "Expect: 100-continue",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
)


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr("segrt.runtime.stream.web.server.MOST_PER_SECOND", 1e6)
    sink = PageSink(f"http://127.0.0.1:0/?token={TOKEN}")
    recorder = Recorder([CAMERA])
    sink.watch(recorder, "http")
    sink.open([SourceInfo(CAMERA, live=True)])
    recorder.entered_state(CAMERA, "lost")
    result = SemanticResult(np.zeros((8, 8), np.uint8), (Label("road", 0, False, (255, 0, 0)),))
    sink.write(Frame(np.zeros((8, 8, 3), np.uint8), 0, 0.0, time.monotonic(), CAMERA), result, None)
    yield int(re.search(r":(\d+)/", sink.address).group(1))
    sink.close()


def ask(port, method, target, header="", version="1.1"):
    """Return status, headers and body of one request; the server must close the connection by itself."""
    lines = [f"{method} {target} HTTP/{version}", f"Host: 127.0.0.1:{port}"]
    lines += [header.format(port=port, token=TOKEN)] if header else []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode("latin-1").lower(), body


def check(port, method, target, header="", version="1.1"):
    status, head, body = ask(port, method, target, header, version)
    where = f"{method} {target} {header}: {status} {body[:80]!r}"
    assert "set-cookie" not in head, where
    for secret in (TOKEN.encode(), b"cam-17", b"road", b"lost"):
        assert secret not in body, where
        assert secret not in head.encode(), where
    path = target.partition("?")[0]
    if status == 503:
        assert path in ("/healthz", "/%68ealthz"), where
        assert body in (b"no recent frames\n", b""), where
    else:
        assert status in (400, 401, 403, 405), where


def test_without_the_token_there_is_nothing_but_yes_or_no(page):
    for path in PATHS:
        for method in METHODS:
            check(page, method, path)
    for path in PATHS:
        for query in QUERIES[1:]:
            check(page, "GET", path + query)
    for path in ("/healthz", "/", "/state.json", "/stream"):
        for header in HEADERS:
            for method in ("GET", "HEAD", "OPTIONS"):
                check(page, method, path, header)
        check(page, "GET", f"{path}?token=x", version="1.0")


def test_nothing_but_a_login_sets_the_cookie(page):
    for method, target, header in (
        ("HEAD", f"/?token={TOKEN}", ""),
        ("GET", f"/page.js?token={TOKEN}", ""),
        ("GET", f"/healthz?token={TOKEN}", ""),
        ("GET", f"/metrics?token={TOKEN}", ""),
        ("GET", f"/nothing?token={TOKEN}", ""),
        ("GET", "/", "Authorization: Bearer {token}"),
        ("POST", f"/?token={TOKEN}", ""),
        ("GET", f"/?token={TOKEN}", "Origin: http://evil.example"),
    ):
        assert "set-cookie" not in ask(page, method, target, (header + "\r\nConnection: close").lstrip("\r\n"))[1]
    status, head, _ = ask(page, "GET", f"/?token={TOKEN}", "Connection: close")
    cookie = re.search(r"set-cookie: (segrt_\d+=\w+); path=/; httponly; samesite=strict", head).group(1)
    assert status == 200
    assert TOKEN.lower() not in head, "what the browser keeps is not the token"
    status, head, body = ask(page, "GET", "/state.json", f"Connection: close\r\nCookie: a=b; {cookie}")
    assert status == 200
    assert b"cam-17" in body
    assert "set-cookie" not in head


def test_health_says_why_to_those_who_have_the_token(page):
    status, _, body = ask(page, "GET", f"/healthz?token={TOKEN}", "Connection: close")
    assert (status, body.decode()) == (503, f"no recent frames: {CAMERA}: lost\n")


def test_another_page_on_another_port_takes_another_cookie(page):
    other = PageSink(f"http://127.0.0.1:0/?token={TOKEN}")
    other.open([SourceInfo("cam")])
    try:
        port = int(re.search(r":(\d+)/", other.address).group(1))
        head = ask(port, "GET", f"/?token={TOKEN}", "Connection: close")[1]
        cookie = re.search(r"set-cookie: (segrt_\d+=\w+)", head).group(1)
        assert ask(page, "GET", "/", f"Cookie: {cookie}")[0] == 401
    finally:
        other.close()


def test_asking_for_the_heads_of_streams_makes_no_viewers(page):
    for _ in range(40):
        assert ask(page, "HEAD", f"/stream?token={TOKEN}", "Connection: close")[0] == 200
