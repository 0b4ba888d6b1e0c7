"""What the desk reads of signed releases before it asks a device: indices, keys, and the wheels that an index names."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.bundle.pack.signing import raw_public_key
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.file_hashes import IndexedFile, sha256_of
from segrt.runtime.deploy.device.protocol import PackContent, Trust
from segrt.runtime.deploy.device.statements import MOST_BYTES, KeyRotation, ReleaseIndex, read_statement
from segrt.runtime.deploy.device.trust import signed_environment
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.reading import is_regular, read_bytes

Statement = TypeVar("Statement", ReleaseIndex, KeyRotation)


def content_of(pack: Pack) -> PackContent:
    """Return what a pack holds, by names and hashes."""
    return PackContent(
        pack.file_sha256(),
        pack.manifest.name,
        tuple(variant.precision for variant in pack.manifest.variants),
        tuple(IndexedFile(file.path, file.size, file.sha256) for file in pack.index.files),
    )


def read_index(path: Path, service: str, pack_sha256: str) -> tuple[ReleaseIndex, str]:
    """Return the index in the file at `path`, and its text; raise SegrtError for one of another service or pack.

    Its signature is checked on the device, with the key that is pinned there.
    """
    index, text = _read(ReleaseIndex, path, "--index")
    try:
        signed_environment(index, system_site_packages=False)
    except Failure as failure:
        raise SegrtError(f"{path}: {failure}") from None
    if index.service != service:
        raise SegrtError(f"{path}: is for the service {index.service!r}, not {service!r}; give the right --index")
    if index.pack.sha256 != pack_sha256:
        raise SegrtError(f"{path}: is of another pack ({index.pack.sha256[:12]}…); give the pack that it was made for")
    return index, text


def trust_of(index: str | None, pin_key: Path | None, rotation: Path | None, *, allow_downgrade: bool) -> Trust:
    """Return what devices are told of keys; `index` is its text. Raises SegrtError for files that hold none."""
    if pin_key is not None and index is None:
        raise SegrtError(
            "--pin-key: pins the key with a release that is signed with it; add --sign KEY, or give its --index"
        )
    return Trust(
        index=index,
        pin_key=raw_public_key(pin_key) if pin_key else None,
        rotation=_read(KeyRotation, rotation, "--rotate-key")[1] if rotation else None,
        allow_downgrade=allow_downgrade,
    )


def indexed_wheels(index: ReleaseIndex, folder: Path | None) -> Mapping[str, Path]:
    """Return the file in `folder` of each package of an index (SHA-256 → file).

    Raises SegrtError for one that is missing or differs.
    """
    if not index.packages:
        return {}
    if folder is None:
        raise SegrtError("--index: names packages to be installed; give the folder that has them with --wheels")
    wheels = {}
    for package in index.packages:
        path = folder / package.file.path  # a plain name: `read_index` looked
        if not is_regular(path):
            raise SegrtError(f"{path}: is not there, but the index names it; `segrt sign --fetch` puts it there")
        if sha256_of(path) != package.file.sha256:
            raise SegrtError(f"{path}: is not the file that the index names (SHA-256 differs); get that one")
        wheels[package.file.sha256] = path
    return wheels


def _read(kind: type[Statement], path: Path, option: str) -> tuple[Statement, str]:
    """Return the statement in a file, whoever signed it, and its text; raise SegrtError for any other file."""
    try:
        data = read_bytes(path, MOST_BYTES)
        return read_statement(kind, data, str(path)), data.decode()
    except OSError as error:
        raise SegrtError(f"{option}: {path} cannot be read ({error.strerror}); give a file of `segrt sign`") from None
    except Failure as failure:
        raise SegrtError(str(failure)) from None
