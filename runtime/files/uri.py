"""Names of sources and sinks: their scheme, and how they, and what others say of them, are shown without credentials.

What is shown is what is known to be harmless. Whatever else stands in a user part, query, fragment or path parameter,
or in a property of a pipeline, is masked: cameras have too many names for a password.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from segrt.runtime.files.harmless import (
    HARMLESS,
    HARMLESS_OPTIONS,
    MASK,
    REFERENCE,
    is_name,
    is_plain,
    is_reference,
)
from segrt.runtime.files.pipeline_text import show_pipeline

_KEYED = ("rtmp", "rtmps")  # their paths end with a stream key
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PIPELINE = re.compile(r"gst:", re.IGNORECASE)
_SEPARATOR = re.compile(r"([?&;#])")
_EQUALS = re.compile(r"=|%3d", re.IGNORECASE)
_HOST = re.compile(rf"(\[[0-9A-Fa-f:.%\w]*\]|(?:[\w.~%-]|{REFERENCE})*)(:(?:\d*|{REFERENCE}))?")
_REFERENCES = re.compile(rf"{REFERENCE}(?::{REFERENCE})?")
_FORGOTTEN_SCHEME = re.compile(r"[^/\\]*:.*@", re.DOTALL)
_ADDRESS_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
_VARIABLE = re.compile(r"([A-Z_][A-Z0-9_]*=)(.*)", re.DOTALL)
_PARAMETERS = re.compile(r"[?&;#=]")
_FRAGMENTS = re.compile(r"[&=:;,/@_?# ]")
_LEAST_FRAGMENT = 4


def scheme_of(uri: str) -> str | None:
    """Return the scheme of `uri` in lower case, "gst" for a GStreamer pipeline (gst:…), or None for a plain path."""
    if _PIPELINE.match(uri):
        return "gst"
    match = _SCHEME.match(uri)
    return match.group(1).lower() if match else None


def redact(uri: str) -> str:
    """Return `uri` with all masked that is not known to be harmless, fit for logs, metrics, pages and files.

    A password may contain anything, "/" and "@" included, so everything up to the last "@" goes, and what follows as
    well if there is a "?" or "#" before it; a path with an "@" loses its host, which is the price. `${NAME}`, a
    variable that is filled in later, is shown. Plain paths are returned as they are, unless they look like an address
    whose scheme was forgotten. The path of rtmp and rtmps ends with a stream key, which is masked.
    """
    return _Redaction().show(uri)


def redact_error(text: str, uri: str = "") -> str:
    """Return what another library says, in one line, without what `redact` masks in `uri` and in other addresses."""
    redaction = _Redaction()
    redaction.show(uri)
    for secret in redaction.secrets():
        # A short one stands for itself only as a word, else "a" would mask every "a".
        bounds = ("", "") if len(secret) >= _LEAST_FRAGMENT else (r"(?<!\w)", r"(?!\w)")
        text = re.sub(bounds[0] + re.escape(secret) + bounds[1], MASK, text)
    return " ".join(_ADDRESS_IN_TEXT.sub(lambda found: redact(found.group()), text).split())


def redact_arguments(words: Sequence[str]) -> list[str]:
    """Return the words of a command line of `segrt stream`, fit to be shown.

    Addresses are redacted; the value of an option that is not known to be harmless, and that of NAME=value, is masked.
    """
    shown: list[str] = []
    before = ""
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            masked = redact(value) if name in HARMLESS_OPTIONS else _mask_value(value)
            shown.append(name + equals + masked)
        elif before.startswith("--") and before not in HARMLESS_OPTIONS:
            shown.append(_mask_value(word))
        elif variable := _VARIABLE.fullmatch(word):
            shown.append(variable.group(1) + _mask_value(variable.group(2)))
        else:
            shown.append(redact(word))
        before = "" if equals else word
    return shown


def _mask_value(value: str) -> str:
    return value if not value or is_reference(value) else MASK


class _Redaction:
    """Shows one address, and remembers what it has masked."""

    def __init__(self) -> None:
        self._masked: list[str] = []

    def secrets(self) -> list[str]:
        """Return what was masked, as written, decoded and encoded, and the longer pieces of it; longest first."""
        written = {form for text in self._masked for form in (text, text.strip("\"'"))}
        written_and_read = written | {unquote(text) for text in written}
        pieces = {
            piece for text in written_and_read for split in (_FRAGMENTS, _PARAMETERS) for piece in split.split(text)
        }
        whole = written | {piece for piece in pieces if len(piece) >= _LEAST_FRAGMENT}
        whole |= {form for text in whole for form in (unquote(text), quote(text, safe=""))}
        return sorted(whole - {"", MASK}, key=lambda text: (-len(text), text))

    def show(self, uri: str) -> str:
        """Return `uri` as it may be shown."""
        if _PIPELINE.match(uri):
            return uri[:4] + show_pipeline(uri[4:], self._mask, self.show)
        scheme = _SCHEME.match(uri)
        if scheme is None:
            return self._show_path(uri)
        keyed = scheme.group(1).lower() in _KEYED
        return scheme.group() + self._show_rest(uri[scheme.end() :], keyed=keyed)

    def _mask(self, text: str) -> str:
        self._masked.append(text)
        return MASK

    def _show_rest(self, text: str, *, keyed: bool = False) -> str:
        """Return what stands behind the scheme; with `keyed` the path ends with a secret."""
        user, at, rest = text.rpartition("@")
        if re.search(r"[?#]", user):  # is it a password with a "?" or an option with an "@"? Both are hidden
            self._show_user(user)
            return self._mask(text)
        if keyed and "/" in user and "/" not in rest:  # is it a host, or the rest of a key with an "@"?
            self._show_user(user)
            return self._mask(text)
        first, *parameters = _SEPARATOR.split(rest)
        shown = self._show_user(user) + at if at else ""
        host, slash, path = first.partition("/")
        shown += self._show_host(host) + slash
        shown += self._show_keyed_path(path) if keyed else self._show_parts(path)
        return shown + self._show_parameters(parameters)

    def _show_parts(self, path: str) -> str:
        return "/".join(self._show_parameter(part) if _EQUALS.search(part) else part for part in path.split("/"))

    def _show_keyed_path(self, path: str) -> str:
        """Return a path without its last part, unless that is a variable."""
        bare = path.rstrip("/")
        before, slash, key = bare.rpartition("/")
        shown = key if not key or is_reference(key) else self._mask(key)
        return self._show_parts(before) + slash + shown + path[len(bare) :]

    def _show_user(self, user: str) -> str:
        if not user or _REFERENCES.fullmatch(user):
            return user
        for part in user.split(":", 1):
            self._mask(part)
        return self._mask(user)

    def _show_host(self, host: str) -> str:
        match = _HOST.match(host)
        if match is not None and match.end() == len(host):
            return host
        name, colon, port = host.partition(":")
        if colon and _HOST.fullmatch(name):
            return f"{name}:{self._mask(port)}"
        return self._mask(host)

    def _show_parameters(self, parts: Sequence[str]) -> str:
        """Return separators and parameters in turn."""
        return "".join(part if number % 2 == 0 else self._show_parameter(part) for number, part in enumerate(parts))

    def _show_parameter(self, text: str) -> str:
        name, equals, value = text.partition("=")
        if not text or (equals and name.lower() in HARMLESS and is_plain(value)):
            return text
        if is_name(name) and is_reference(value):
            return text
        if not is_name(name) or not value or value.startswith("="):  # then it may be the secret's own "="
            return self._mask(text)
        return f"{name}={self._mask(value)}"

    def _show_path(self, text: str) -> str:
        """Return a path; of what looks like an address whose scheme was forgotten, what may be shown."""
        if _FORGOTTEN_SCHEME.match(text):
            return self._show_rest(text)
        if not ("?" in text and "=" in text.partition("?")[2]) and "&" not in text:
            return text
        parts = re.split(r"([?&;#/])", text)
        return "".join(self._show_parameter(part) if "=" in part else part for part in parts)
