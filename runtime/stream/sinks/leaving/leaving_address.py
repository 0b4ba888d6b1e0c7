"""Addresses that video leaves for: which are served here, and which are pushed to."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact
from segrt.runtime.files.user_part import encode_user
from segrt.runtime.stream.uri_options import flag, read_query, whole

_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
_WILDCARDS = ("0.0.0.0", "::")
_EXAMPLES = {
    "rtsp": "rtsp://192.0.2.10:8554/NAME",
    "rtsps": "rtsps://192.0.2.10:8555/NAME",
    "rtmp": "rtmp://192.0.2.10/APP/KEY",
    "rtmps": "rtmps://192.0.2.10/APP/KEY",
    "srt": "srt://192.0.2.10:9000",
}
SERVED = "rtsp://HOST:PORT/NAME?listen=1"
_LISTENING = ("1", "true", "yes", "listener")


@dataclass(frozen=True)
class Target:
    """Where video goes: `uri` has the user's special signs encoded and is secret, `shown` may be said.

    `path` begins with "/", `user` and `password` are "" where there are none, `query` has what is meant for the server.
    """

    uri: str = field(repr=False)
    shown: str
    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    user: str = field(repr=False, default="")
    password: str = field(repr=False, default="")
    query: tuple[tuple[str, str], ...] = field(repr=False, default=())

    def named(self, name: str) -> "Target":
        """Return the target of one of several sources: NAME is added to its path."""
        if not name:
            return self
        parts = urlsplit(self.uri)
        path = f"{self.path}-{name}"
        uri = urlunsplit(parts._replace(path=path))
        return Target(uri, redact(uri), self.scheme, self.host, self.port, path, self.user, self.password, self.query)


def serves(uri: str) -> bool:
    """Say whether an address asks to be served here: `listen` or `listen=1` in its query, or a wildcard host."""
    try:
        parts = urlsplit(encode_user(uri))
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
        return parts.hostname in _WILDCARDS or "listen" in names
    except ValueError:
        return False


def read_served(uri: str) -> Target:
    """Return what is served at `rtsp://[USER:PASSWORD@]HOST:PORT/NAME?listen=1`; raise VideoError for another."""
    target = _read(uri, explicit_port=True)
    given = read_query(target.uri, {"listen": flag})
    if not given.get("listen", target.host in _WILDCARDS):
        raise VideoError(f"sink {target.shown}: listen=0 serves nothing; leave it out to push to another host")
    if bool(target.user) != bool(target.password):
        raise VideoError(f"sink {target.shown}: give both user and password, or neither")
    return target


def read_pushed(uri: str) -> Target:
    """Return the target of an address that is pushed to; raise VideoError for one that cannot be."""
    target = _read(uri, explicit_port=False)
    listens = {name: value for name, value in target.query if name in ("listen", "mode")}
    if (target.scheme in ("rtsps", "rtmp", "rtmps") and "listen" in listens) or listens.get("mode") in _LISTENING:
        raise VideoError(f"sink {target.shown}: only RTSP is served here, as {SERVED}; push {target.scheme}:// instead")
    return target


def read_srt(target: Target) -> dict[str, str]:
    """Return SRT's options, times in milliseconds; raise VideoError for unknown ones."""
    options = {
        "latency": whole(0, 60_000), "streamid": _as_it_is, "passphrase": _as_it_is, "pbkeylen": _as_it_is,
        "mode": _caller,
    }  # fmt: skip
    given = read_query(target.uri, options)
    if not 10 <= len(given.get("passphrase", "of ten and more")) <= 79:  # a secret, which no error repeats
        raise VideoError(f"sink {target.shown}: the passphrase must have 10 to 79 signs")
    if given.get("pbkeylen", "16") not in ("16", "24", "32"):  # it may be the passphrase, in the wrong place
        raise VideoError(f"sink {target.shown}: pbkeylen must be 16, 24 or 32")
    if not 1 <= len(given.get("streamid", "some")) <= 512:
        raise VideoError(f"sink {target.shown}: the streamid must have 1 to 512 signs")
    return {name: str(value) for name, value in given.items() if name != "mode"}


def srt_uri(target: Target, options: dict[str, str]) -> str:
    """Return the address of an SRT target with its options."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    query = urlencode({"mode": "caller", **options})
    return f"srt://{host}:{target.port}?{query}"


def _read(uri: str, *, explicit_port: bool) -> Target:
    encoded = encode_user(uri)
    try:
        parts = urlsplit(encoded)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        raise _unreadable(uri) from None
    if port is None and not explicit_port:
        port = _PORTS.get(scheme)
    named = scheme == "srt" or parts.path.strip("/")
    if not host or not port or not named or (scheme == "srt" and parts.path.strip("/")):
        raise _unreadable(uri)
    if host in _WILDCARDS and scheme != "rtsp":
        raise VideoError(f"sink {redact(uri)}: nobody can be reached at {host}; only RTSP is served here, as {SERVED}")
    return Target(
        uri=encoded,
        shown=redact(uri),
        scheme=scheme,
        host=host,
        port=port,
        path=parts.path.rstrip("/"),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
    )


def _unreadable(uri: str) -> VideoError:
    scheme = uri.partition(":")[0].lower()
    example = SERVED if serves(uri) else _EXAMPLES.get(scheme, SERVED)
    return VideoError(f"sink {redact(uri)}: names no place that video can go to; write {example} for instance")


def _as_it_is(text: str) -> str:
    return text


def _caller(text: str) -> str:
    if text != "caller":
        raise ValueError("must be caller")
    return text
