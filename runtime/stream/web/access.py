"""Who may see the live page: this machine, or whoever has the token; no page of another origin."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPEN_PATHS = ("/healthz",)  # says nothing but whether frames come
_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets requests through to `app` that may be answered, and gives every answer its headers.

    On loopback, a request must name a loopback host, so that no foreign name that resolves to it gets in (DNS
    rebinding). With a `token`, a request must bring it: as `?token=`, as the cookie that the page then gets, or as
    `Authorization: Bearer`.
    """

    def __init__(self, app: App, *, host: str, port: int, token: str | None) -> None:
        self._app = app
        self._local = is_loopback(host)
        self._token = token
        self._cookie = f"segrt_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        status, reason = self._judge(scope, headers)
        cookie = self._new_cookie(scope) if status == 200 else None

        async def send_guarded(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": [*event.get("headers", []), *_HEADERS, *([cookie] if cookie else [])]}
            await send(event)

        if status == 200:
            await self._app(scope, receive, send_guarded)
            return
        body = reason.encode() + b"\n"
        kind = (b"content-type", b"text/plain; charset=utf-8")
        length = (b"content-length", str(len(body)).encode())
        await send_guarded({"type": "http.response.start", "status": status, "headers": [kind, length]})
        await send_guarded({"type": "http.response.body", "body": body})

    def _judge(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str]:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "only GET is answered here"
        host = headers.get("host", "")
        if self._local and not is_loopback(_name_of(host)):
            return 403, "open this page by the name localhost"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "another origin may not read this"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
            return 403, "another origin may not read this"
        if self._token is None or scope["path"] in _OPEN_PATHS or self._has_token(scope, headers):
            return 200, ""
        return 401, "open this page with the token that segrt has printed: http://HOST:PORT/?token=..."

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        assert self._token is not None
        given = list(_query(scope).get("token", []))
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            given.append(value.strip())
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            morsel = None
        if morsel is not None:
            given.append(morsel.value)
        return any(hmac.compare_digest(token.encode(), self._token.encode()) for token in given)

    def _new_cookie(self, scope: Scope) -> tuple[bytes, bytes] | None:
        if self._token is None or "token" not in _query(scope):
            return None
        return b"set-cookie", f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict".encode()


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1"))


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
