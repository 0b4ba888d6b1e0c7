"""What the holder of a key says: which release may run, and which key comes after it.

A statement is a file of two lines: a JSON object, and the Ed25519 signature of that line's bytes, 128 hexadecimal
digits. Its `kind` is in the object, so that nothing signed for one purpose serves another.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from segrt.runtime.deploy.device.ed25519 import verify
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.file_hashes import IndexedFile
from segrt.runtime.deploy.device.json_conversion import from_json, load_json, to_json

Statement = TypeVar("Statement", "ReleaseIndex", "KeyRotation")
MOST_BYTES = 4 << 20
FORMAT = "1.0"
_REMEDY = "get it from the key's owner again, whole"


@dataclass(frozen=True)
class IndexedPack:
    """A pack's file, the bundle and precisions in it, and every file that unpacking it gives."""

    sha256: str
    size: int
    bundle: str
    variants: tuple[str, ...]
    files: tuple[IndexedFile, ...]


@dataclass(frozen=True)
class IndexedPackage:
    """A wheel to be installed: the distribution's name and version, and its file."""

    name: str
    version: str
    file: IndexedFile


@dataclass(frozen=True, kw_only=True)
class ReleaseIndex:
    """Everything that a release executes, and where and when it may run.

    `counter` may not be smaller than that of a release which has proved itself on the device. `expires` is a time (ISO
    8601, UTC) after which it is not installed any more. The environment is made of `packages` for Python `python`
    (major.minor), or is the one that the device has at the path `environment`; `segrt` is segrt's version in it.
    """

    counter: int
    service: str
    machine: str
    segrt: str
    pack: IndexedPack
    packages: tuple[IndexedPackage, ...] = ()
    extras: tuple[str, ...] = ()
    python: str | None = None
    environment: str | None = None
    expires: str | None = None
    kind: str = "segrt release"
    format: str = FORMAT


@dataclass(frozen=True, kw_only=True)
class KeyRotation:
    """The holder of the key `old` says that `new` takes its place (both: 64 hexadecimal digits)."""

    old: str
    new: str
    kind: str = "segrt key rotation"
    format: str = FORMAT


def statement_line(statement: ReleaseIndex | KeyRotation) -> bytes:
    """Return the bytes to be signed."""
    return json.dumps(to_json(statement), separators=(",", ":")).encode()


def statement_file(line: bytes, signature: bytes) -> bytes:
    """Return the content of a statement's file."""
    return b"%s\n%s\n" % (line, signature.hex().encode())


def read_statement(kind: type[Statement], text: bytes, where: str) -> Statement:
    """Return a statement without asking who signed it; `where` names it. Raises Failure for what is none."""
    line, _ = _parts(text, where)
    try:
        content = load_json(line)
    except ValueError:
        raise Failure(f"{where}: is no JSON in its first line; {_REMEDY}") from None
    statement = from_json(kind, content, where, _REMEDY)
    expected = kind.__dataclass_fields__["kind"].default
    if statement.kind != expected:
        raise Failure(f"{where}: is of kind {statement.kind!r}, not {expected!r}; give the right file")
    if statement.format != FORMAT:
        raise Failure(f"{where}: has format {statement.format}, but this segrt reads {FORMAT}; use another segrt")
    return statement


def open_statement(kind: type[Statement], text: bytes, keys: Iterable[str], where: str) -> Statement:
    """Return a statement that was signed with one of `keys` (hexadecimal); raise Failure for any other."""
    line, signature = _parts(text, where)
    known = list(keys)
    if not any(verify(bytes.fromhex(key), line, signature) for key in known):
        names = " or ".join(short_key(key) for key in known)
        raise Failure(
            f"{where}: is not signed with the key {names} that is pinned on this device; sign it with that key, or pin "
            "its successor with --rotate-key"
        )
    return read_statement(kind, text, where)


def short_key(key: str) -> str:
    """Return the first digits of a key, which name it in texts."""
    return key[:16]


def _parts(text: bytes, where: str) -> tuple[bytes, bytes]:
    if len(text) > MOST_BYTES:
        raise Failure(f"{where}: has {len(text)} bytes, but a statement has at most {MOST_BYTES}; {_REMEDY}")
    line, newline, rest = text.partition(b"\n")
    try:
        signature = bytes.fromhex(rest.decode("ascii"))
    except ValueError:
        signature = b""
    if not newline or len(signature) != 64:
        raise Failure(f"{where}: is no statement, which has two lines, JSON and a signature; {_REMEDY}")
    return line, signature
