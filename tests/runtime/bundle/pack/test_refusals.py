"""What is not byte for byte a pack is refused, and nothing outside the target folder is ever written."""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from segrt.runtime.bundle.pack import zip_layout
from segrt.runtime.bundle.pack.index import Index, dump_index
from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.bundle.pack.zip_layout import Entry, lay_out
from segrt.runtime.errors import BundleError

MUTANTS = 1000


def listing(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((str(p.relative_to(folder)), p.read_bytes() if p.is_file() else b"") for p in folder.rglob("*"))


def refusal(data: bytes, sandbox: Path) -> str:
    """Try to unpack `data` into `sandbox`/in/bundle; return the refusal after checking that nothing was written."""
    path = sandbox / "mutant.segrt"
    path.write_bytes(data)
    (sandbox / "in").mkdir(exist_ok=True)
    before = listing(sandbox)
    with pytest.raises(BundleError) as refused, Pack(path) as pack:
        pack.extract(sandbox / "in" / "bundle")
    assert listing(sandbox) == before
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return `data` changed as transfers, disks and people change files."""
    changed = bytearray(data)
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 65))
    kind = rng.integers(7)
    if kind == 0:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        changed[at : at + length] = rng.bytes(length)
    elif kind == 2:
        del changed[at:]
    elif kind == 3:
        del changed[at : at + length]
    elif kind == 4:
        changed[at:at] = rng.bytes(length)
    elif kind == 5:
        changed[at : at + length] = bytes(length)
    else:  # in the directory, where the headers are
        changed[-1 - int(rng.integers(min(600, len(data))))] = int(rng.integers(256))
    return bytes(changed)


def test_a_thousand_mutants_are_refused_and_write_nothing(small_pack: Path, tmp_path: Path) -> None:
    data = small_pack.read_bytes()
    rng = np.random.default_rng(20)
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    refused = 0
    while refused < MUTANTS:
        mutant = mutate(data, rng)
        if mutant != data:
            refusal(mutant, sandbox)
            refused += 1


@contextmanager
def lenient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the test write names that no pack may have."""
    with monkeypatch.context() as patched:
        patched.setattr(zip_layout, "_check_names", lambda _: None)
        yield


def written(files: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return a file in a pack's very form with any names."""
    import zlib

    with lenient(monkeypatch):
        laid = lay_out([Entry(name, len(data), zlib.crc32(data)) for name, data in files])
    parts = zip(laid.headers, files, strict=True)
    return b"".join(header + data for header, (_, data) in parts) + laid.tail


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside", "is not a plain path inside a pack"),
        ("golden/../../outside", "is not a plain path inside a pack"),
        ("/etc/outside", "is not a plain path inside a pack"),
        ("C:/outside", "is not a plain path inside a pack"),
        ("a\\..\\outside", "is not a plain path inside a pack"),
        (".hidden", "is not a plain path inside a pack"),
        ("a//b", "is not a plain path inside a pack"),
        ("x" * 300, "is not a plain path inside a pack"),
        ("folder/", "is a folder; a pack holds files only"),
        ("manifest.json", "is in it twice"),
        ("MANIFEST.json", "is in it twice"),
        ("manifest.json/x", "is both a file and a folder"),
    ],
)
def test_names_that_lead_elsewhere_are_refused_by_name(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = written([("pack.json", b"{}"), ("manifest.json", b"{}"), (name, b"x")], monkeypatch)
    message = refusal(data, tmp_path)
    assert name[:40].replace("\\", "\\\\") in message
    assert why in message


def foreign(change: Callable[[zipfile.ZipInfo], None] = lambda _: None, **options: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name in ("pack.json", "manifest.json"):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            change(info)
            file.writestr(info, b"0" * 1_000_000, **({"compress_type": options["compression"]} if options else {}))
    return buffer.getvalue()


def as_link(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o120777 << 16


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (foreign(as_link), "is a link; a pack holds files only"),
        (foreign(compression=zipfile.ZIP_DEFLATED), "is compressed; a pack's files are stored"),
        (foreign(), "made by another zip tool"),
        (b"", "it has 0 bytes only"),
        (b"PK\x03\x04" + b"\0" * 100, "its end is not a zip's"),
        (struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, 1 << 31, 0, 0), "it says that it has 65535 files"),
        (struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 100_000, 0, 0), "its directory is longer than itself"),
    ],
    ids=["link", "bomb", "zip", "empty", "no end", "huge directory", "long directory"],
)
def test_links_bombs_and_other_zips_are_refused(data: bytes, why: str, tmp_path: Path) -> None:
    assert why in refusal(data, tmp_path)


def test_a_file_that_the_manifest_does_not_name_is_refused(
    small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    with Pack(small_pack) as pack:
        files = [(file.path, b"".join(pack._checked(file))) for file in pack.index.files]
        entry = type(pack.index.files[0])("extra.sh", 1, hashlib.sha256(b"x").hexdigest())
        index = dump_index(Index(bundle=pack.index.bundle, files=(*pack.index.files, entry)))
    data = written([("pack.json", index), *files, ("extra.sh", b"x")], monkeypatch)
    assert "its files are not those of its manifest.json" in refusal(data, tmp_path)


def test_a_full_disk_leaves_nothing(small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with Pack(small_pack) as pack, pytest.raises(BundleError, match=r"No space left on device.*folder with space"):
        pack.extract(tmp_path / "out" / "bundle")
    assert list((tmp_path / "out").iterdir()) == []
