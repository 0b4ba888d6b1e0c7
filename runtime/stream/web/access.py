"""Who may see the live page: this machine, or whoever has the token; no page of another origin."""

import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

ADMITTED = "segrt.admitted"
"""Key of a request's scope: whether it may know everything; without a token only `OPEN_PATHS` are answered at all."""
OPEN_PATHS = ("/healthz",)
"""What supervisors ask without the token; they learn whether frames come from every source, and nothing else."""
_LOGIN_PATH = "/"
_ONCE = (
    "host", "origin", "authorization", "cookie", "sec-fetch-site", "sec-fetch-mode", "content-length", "content-type",
    "if-match",
)  # fmt: skip
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


@dataclass(frozen=True)
class _Verdict:
    """What becomes of a request: refused with `status` and `reason`, or, with 200, handed on."""

    status: int = 200
    reason: str = ""
    admitted: bool = False
    logs_in: bool = False


class Guard:
    """Lets requests through to `app` that may be answered, and gives every answer its headers.

    On loopback, a request must name a loopback host, so that no foreign name that resolves to it gets in (DNS
    rebinding). With a `token`, a request must bring it: as `?token=`, as `Authorization: Bearer`, or as the cookie that
    `GET /?token=…` with the right token sets, and nothing else. The cookie is derived from the token and does not
    reveal it. Whoever is not admitted gets one answer, and the connection is closed.

    `changing` are the paths that take a PUT of JSON, with the most bytes of each. Such a request must bring the token
    as a header or the cookie, and with the cookie the page's own origin: no address, form or foreign page can make one.
    `asking` are those that take a POST of JSON, which changes nothing: for it the same holds, but on loopback without a
    token the page's own origin is enough.
    """

    def __init__(
        self,
        app: App,
        *,
        host: str,
        port: int,
        token: str | None,
        changing: Mapping[str, int] | None = None,
        asking: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._asking = dict(asking or {})
        self._changing = {} if token is None else dict(changing or {})
        self._local = is_loopback(host)
        self._token = token
        self._cookie = f"segrt_{port}"
        self._session = hmac.new((token or "").encode(), b"segrt live page", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        verdict = self._judge(scope)
        scope[ADMITTED] = verdict.admitted
        added: list[Header] = list(_HEADERS)
        if verdict.logs_in:
            added.append((b"set-cookie", f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict".encode()))
        if not verdict.admitted:
            added.append((b"connection", b"close"))

        async def send_guarded(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": [*event.get("headers", []), *added]}
            await send(event)

        if verdict.status == 200:
            await self._app(scope, receive, send_guarded)
            return
        body = verdict.reason.encode() + b"\n"
        kind = (b"content-type", b"text/plain; charset=utf-8")
        length = (b"content-length", str(len(body)).encode())
        await send_guarded({"type": "http.response.start", "status": verdict.status, "headers": [kind, length]})
        await send_guarded({"type": "http.response.body", "body": body})

    def _judge(self, scope: Scope) -> _Verdict:
        bodies = {"PUT": self._changing, "POST": self._asking}.get(scope["method"], {})
        most = bodies.get(scope["path"])
        if scope["method"] not in ("GET", "HEAD") and most is None:
            return _Verdict(405, "only GET is answered here")
        pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        headers = dict(pairs)
        if any(sum(name == once for name, _ in pairs) > 1 for once in _ONCE):
            return _Verdict(400, "a header is given twice")
        if most is not None:
            return self._judge_body(headers, most)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return _Verdict(400, "a request has no body here")
        refusal = self._refuse_origin(headers)
        if refusal is not None:
            return _Verdict(403, refusal)
        if self._token is None:
            return _Verdict(admitted=True)
        query = [value for name, value in _query(scope) if name == "token"]
        by_query = len(query) == 1 and _same(query[0], self._token)
        if by_query or self._is_known(headers):
            logs_in = by_query and scope["path"] == _LOGIN_PATH and scope["method"] == "GET"
            return _Verdict(admitted=True, logs_in=logs_in)
        if scope["path"] in OPEN_PATHS:
            return _Verdict()
        return _Verdict(401, "open this page with the token that segrt has printed: http://HOST:PORT/?token=...")

    def _judge_body(self, headers: dict[str, str], most: int) -> _Verdict:
        """Judge a request with a body of `most` bytes at most; one that changes something is made with a token only."""
        refusal = self._refuse_origin(headers)
        if refusal is not None:
            return _Verdict(403, refusal)
        if self._token is not None and not self._is_known(headers):
            return _Verdict(401, "this takes the token that segrt has printed, as the page's cookie or a bearer token")
        own = "origin" in headers and headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if not own and not self._has_bearer(headers):
            return _Verdict(403, "only the page itself may send this; from elsewhere, send the bearer token")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _Verdict(415, "send it as application/json")
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers or not (length.isascii() and length.isdecimal()):
            return _Verdict(411, "say how long it is (Content-Length)")
        if len(length) > 9 or int(length) > most:
            return _Verdict(413, f"{most} bytes are the most that is taken")
        return _Verdict(admitted=True)

    def _refuse_origin(self, headers: dict[str, str]) -> str | None:
        """Return why a request that comes from elsewhere is refused."""
        host = headers.get("host", "")
        if self._local and not is_loopback(_name_of(host)):
            return "open this page by the name localhost"
        origin = headers.get("origin")
        foreign = origin is not None and _place_of(origin) != host.lower()
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if foreign or (site in ("cross-site", "same-site") and mode != "navigate"):
            return "another origin may not read this"
        return None

    def _is_known(self, headers: dict[str, str]) -> bool:
        """Say whether the headers hold the token or the cookie of a login."""
        if self._has_bearer(headers):
            return True
        cookies = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
        return any(name.strip() == self._cookie and _same(value.strip(), self._session) for name, _, value in cookies)

    def _has_bearer(self, headers: dict[str, str]) -> bool:
        kind, _, value = headers.get("authorization", "").partition(" ")
        return self._token is not None and kind.lower() == "bearer" and _same(value.strip(), self._token)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def _query(scope: Scope) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=64)
    except ValueError:  # more fields than anybody needs
        return ()


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _place_of(origin: str) -> str:
    """Return host and port of an origin, "" of one that is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
