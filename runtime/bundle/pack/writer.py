"""Writes a bundle as a pack: equal content gives equal bytes, whoever packs it, whenever and wherever."""

import hashlib
import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.bundle.bundle import MANIFEST, Bundle
from segrt.runtime.bundle.chosen_variants import manifest_with
from segrt.runtime.bundle.manifest import File
from segrt.runtime.bundle.manifest_parsing import parse_manifest
from segrt.runtime.bundle.pack.index import INDEX, SIGNATURE, Index, dump_index
from segrt.runtime.bundle.pack.signing import read_private_key, sign
from segrt.runtime.bundle.pack.zip_layout import Entry, LayoutError, lay_out
from segrt.runtime.errors import BundleError, SegrtError
from segrt.runtime.files.reading import open_regular

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Written:
    """A pack that was written: its file, length in bytes, SHA-256 of the whole file, and the variants in it."""

    path: Path
    size: int
    sha256: str
    variants: tuple[str, ...]


def write_pack(
    bundle: Bundle,
    out: Path,
    *,
    precisions: Sequence[str] = (),
    key: Path | None = None,
    password: str | None = None,
    overwrite: bool = False,
) -> Written:
    """Write `bundle`, or only its variants of `precisions`, to the file `out`, whole or not at all.

    With `key`, the file of an Ed25519 private key, the pack is signed. Every file's hash is compared with the manifest
    on the way. Raises BundleError or SegrtError.
    """
    if out.is_dir() or (out.exists() and not overwrite):
        also = "" if out.is_dir() else " or add --overwrite"
        raise BundleError(f"{out}: is already there; choose another file{also}")
    signer = read_private_key(key, password) if key is not None else None
    manifest_bytes = manifest_with(bundle, precisions)
    manifest = parse_manifest(manifest_bytes, str(bundle.folder / MANIFEST))
    contents: dict[str, bytes | Path] = {MANIFEST: manifest_bytes}
    files = [File(MANIFEST, len(manifest_bytes), hashlib.sha256(manifest_bytes).hexdigest())]
    for file in sorted(manifest.files, key=lambda file: file.path):
        contents[file.path] = bundle.path(file)
        files.append(file)
    index = dump_index(Index(bundle=manifest.name, files=tuple(files)))
    parts: dict[str, bytes | Path] = {INDEX: index}
    if signer is not None:
        parts[SIGNATURE] = sign(index, signer)
    parts |= contents
    expected = {file.path: file for file in files}
    try:
        layout = lay_out([_entry(name, content, expected.get(name)) for name, content in parts.items()])
    except LayoutError as error:
        raise BundleError(f"{bundle.folder}: cannot be packed: {error}") from None
    aside = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    digest = hashlib.sha256()
    try:
        try:
            with aside.open("xb") as target:
                for header, entry in zip(layout.headers, layout.entries, strict=True):
                    for chunk in (header, *_chunks(parts[entry.name])):
                        digest.update(chunk)
                        target.write(chunk)
                digest.update(layout.tail)
                target.write(layout.tail)
                if target.tell() != layout.size:
                    raise BundleError(f"{bundle.folder}: changed while it was packed; pack it again")
                target.flush()
                os.fsync(target.fileno())
            aside.replace(out)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise SegrtError(f"{out}: cannot be written ({error.strerror}); choose a writable folder with space") from None
    return Written(out, layout.size, digest.hexdigest(), tuple(v.precision for v in manifest.variants))


def _entry(name: str, content: bytes | Path, expected: File | None) -> Entry:
    crc, size, digest = 0, 0, hashlib.sha256()
    for chunk in _chunks(content):
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
        digest.update(chunk)
    if expected is not None and (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise BundleError(
            f"{content if isinstance(content, Path) else name}: is not what the manifest says; copy the bundle again"
        )
    return Entry(name, size, crc)


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with open_regular(content) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
