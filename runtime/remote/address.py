"""Addresses of served models: triton://HOST:PORT/NAME, and what may stand behind the "?"."""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from segrt.runtime.errors import BackendError, SegrtError
from segrt.runtime.files.uri import redact
from segrt.runtime.stream.uri_options import flag, number, read_query, whole

SCHEME = "triton"
PORT = 8001
Encoding = Literal["raw", "png", "jpeg"]
_ENCODINGS: tuple[Encoding, ...] = ("raw", "png", "jpeg")
_FORM = f"{SCHEME}://HOST:{PORT}/NAME"


def _encoding(text: str) -> Encoding:
    for known in _ENCODINGS:
        if text == known:
            return known
    raise ValueError(f"must be {', '.join(_ENCODINGS)}")


@dataclass(frozen=True)
class Address:
    """Where a model is served, and how it is asked.

    shown: the address as it may be logged; version: None for the newest that is served; timeout: seconds for one
    picture's answer; patience: seconds that an outage or a full queue may last; in_flight: most pictures that are asked
    for at once; encoding: how pictures travel (JPEG changes them a little); shared_memory: False for over the network
    even to this host.
    """

    shown: str
    host: str
    port: int
    model: str
    version: int | None = None
    timeout: float = 10.0
    patience: float = 60.0
    in_flight: int = 4
    encoding: Encoding = "raw"
    shared_memory: bool = True

    @property
    def authority(self) -> str:
        """The server's host and port, as gRPC takes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_address(text: str) -> Address:
    """Return what an address says; raise BackendError that names what is wrong in it."""
    shown = redact(text)
    try:
        parts = urlsplit(text)
        port = PORT if parts.port is None else parts.port
    except ValueError:
        raise BackendError(f"{shown}: has no port of 1 to 65535; give {_FORM}") from None
    model = unquote(parts.path.strip("/"))
    if "@" in parts.netloc:
        raise BackendError(f"{shown}: has a user, whom no server asks for; give {_FORM}")
    if not parts.hostname or not port:
        raise BackendError(f"{shown}: has no host; give {_FORM}")
    if not model or "/" in model or parts.fragment:
        what = "names no model" if not model else "must have the model's name alone behind the host"
        raise BackendError(f"{shown}: {what}; give {_FORM}")
    try:
        given: dict[str, Any] = read_query(text, _OPTIONS)
    except SegrtError as error:
        raise BackendError(str(error)) from None
    return Address(shown, parts.hostname, port, model, **given)


_OPTIONS: dict[str, Any] = {
    "version": whole(1, 2**31 - 1),
    "timeout": number(0.1, 3600),
    "patience": number(0, 86400),
    "in_flight": whole(1, 64),
    "encoding": _encoding,
    "shared_memory": flag,
}
