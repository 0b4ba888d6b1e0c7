"""Reads packs. What is not byte for byte a pack is refused before anything is written."""

import hashlib
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from segrt.runtime.bundle.bundle import MANIFEST
from segrt.runtime.bundle.manifest import File, Manifest
from segrt.runtime.bundle.manifest_parsing import parse_manifest
from segrt.runtime.bundle.pack.index import INDEX, MAX_INDEX, SIGNATURE, parse_index
from segrt.runtime.bundle.pack.signing import SIGNATURE_SIZE, check_signature
from segrt.runtime.bundle.pack.zip_layout import Layout, LayoutError, end_size, lay_out, read_entries, tail_size
from segrt.runtime.errors import BundleError
from segrt.runtime.files.reading import open_regular

MAGIC = b"PK\x03\x04"
_MAX_MANIFEST = 64 << 20
_CHUNK = 1 << 20
_REMEDY = "copy it again, or make it again with `segrt pack`"


class Pack:
    """An open pack, its form and index checked; to be closed or used in a `with` statement.

    `manifest` is the bundle's, `digest` the SHA-256 of the index, which names the content (without the signature).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file: BinaryIO = open_regular(self.path)
        except OSError as error:
            raise BundleError(f"{self.path}: cannot be read ({error.strerror}); give a pack's file") from None
        try:
            self._open()
        except (LayoutError, ValueError) as error:
            self.close()
            raise BundleError(f"{self.path}: is no whole pack: {error}; {_REMEDY}") from None
        except OSError as error:
            self.close()
            raise BundleError(f"{self.path}: cannot be read ({error.strerror}); {_REMEDY}") from None
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._layout = self._read_layout()
        self._places = {
            entry.name: (place, entry) for place, entry in zip(self._layout.places, self._layout.entries, strict=True)
        }
        self.index_bytes = self._small(INDEX, MAX_INDEX)
        self.index = parse_index(self.index_bytes)
        self.digest = hashlib.sha256(self.index_bytes).hexdigest()
        self.signature = self._small(SIGNATURE, SIGNATURE_SIZE) if SIGNATURE in self._places else None
        if self.signature is not None and len(self.signature) != SIGNATURE_SIZE:
            raise ValueError(f"{SIGNATURE} has {len(self.signature)} bytes, not {SIGNATURE_SIZE}")
        expected = [INDEX, *([SIGNATURE] if self.signature is not None else []), *(f.path for f in self.index.files)]
        if [entry.name for entry in self._layout.entries] != expected:
            raise ValueError(f"its files are not those of {INDEX}")
        self._files = {file.path: file for file in self.index.files}
        if MANIFEST not in self._files:
            raise ValueError(f"it has no {MANIFEST}")
        for file in self.index.files:
            if self._places[file.path][1].size != file.size:
                raise ValueError(f"{file.path!r} in it has not the length that {INDEX} says")
        self.manifest_bytes = b"".join(self._checked(self._files[MANIFEST], _MAX_MANIFEST))
        self.manifest: Manifest = parse_manifest(self.manifest_bytes, f"{self.path}: {MANIFEST}")
        named = {file.path: file for file in self.manifest.files}
        if {path: file for path, file in self._files.items() if path != MANIFEST} != named:
            raise ValueError(f"its files are not those of its {MANIFEST}")
        if self.index.bundle != self.manifest.name:
            raise ValueError(f"{INDEX} and {MANIFEST} differ in the bundle's name")

    def _read_layout(self) -> Layout:
        file = self._file
        size = file.seek(0, os.SEEK_END)
        if size < end_size():
            raise LayoutError(f"it has {size} bytes only")
        file.seek(size - end_size())
        length = tail_size(file.read(end_size()))
        if length > size:
            raise LayoutError("its directory is longer than itself")
        file.seek(size - length)
        tail = file.read(length)
        layout = lay_out(read_entries(tail))
        if layout.size != size or layout.tail != tail:
            raise LayoutError("its directory does not fit its content (cut off, changed, or made by another zip tool)")
        for header, place, entry in zip(layout.headers, layout.places, layout.entries, strict=True):
            file.seek(place - len(header))
            if file.read(len(header)) != header:
                raise LayoutError(f"the header of {entry.name!r} differs from the directory")
        return layout

    def _small(self, name: str, most: int) -> bytes:
        if name not in self._places:
            raise ValueError(f"it has no {name}")
        place, entry = self._places[name]
        if entry.size > most:
            raise ValueError(f"{name} in it has {entry.size} bytes")
        self._file.seek(place)
        data = self._file.read(entry.size)
        if zlib.crc32(data) != entry.crc:
            raise ValueError(f"{name} in it was changed (CRC)")
        return data

    def _checked(self, file: File, most: int | None = None) -> Iterator[bytes]:
        """Yield the content of `file`; raise ValueError at its end unless CRC and SHA-256 are right."""
        place, entry = self._places[file.path]
        if most is not None and entry.size > most:
            raise ValueError(f"{file.path!r} in it has {entry.size} bytes")
        self._file.seek(place)
        digest, crc, left = hashlib.sha256(), 0, entry.size
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            if not chunk:
                raise ValueError(f"{file.path!r} in it is cut off")
            digest.update(chunk)
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
            yield chunk
        if digest.hexdigest() != file.sha256 or crc != entry.crc:
            raise ValueError(f"{file.path!r} in it was changed (SHA-256)")

    def check_signature(self, key_file: Path) -> None:
        """Raise CheckFailed unless the pack is signed with the key whose public part is in `key_file`."""
        check_signature(str(self.path), self.index_bytes, self.signature, key_file)

    def status(self) -> os.stat_result:
        """Return what the system says of the open file: its size, inode and times."""
        return os.fstat(self._file.fileno())

    def file_sha256(self) -> str:
        """Return the SHA-256 of the whole file."""
        digest = hashlib.sha256()
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()

    def check(self) -> None:
        """Read every file and compare its hash; raise BundleError for the first that differs."""
        with _Errors(self.path):
            for file in self.index.files:
                for _ in self._checked(file):
                    pass

    def extract(self, out: Path, *, overwrite: bool = False) -> Path:
        """Write the bundle to the folder `out`, whole or not at all, and return that; nothing else is touched.

        Raises BundleError when `out` is there (with `overwrite`: and is no bundle), a file was changed, or the disk is
        full.
        """
        out = Path(os.path.abspath(out))  # noqa: PTH100 ("." and ".." have no name to write beside; links stay)
        if os.path.lexists(out) and not (overwrite and (out / MANIFEST).is_file()):
            what = "is there and is no bundle, so it is not overwritten" if overwrite else "is already there"
            raise BundleError(f"{out}: {what}; choose another folder" + ("" if overwrite else " or add --overwrite"))
        aside = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
        old = aside.with_suffix(".old")
        with _Errors(self.path, out):
            try:
                aside.mkdir(parents=True)
                for file in self.index.files:
                    self._write(file, aside)
                for folder in (aside, *(path for path in aside.rglob("*") if path.is_dir())):
                    _sync_folder(folder)
                if out.exists():
                    out.rename(old)
                aside.rename(out)
                _sync_folder(out.parent)
            finally:
                if old.exists() and not out.exists():
                    old.rename(out)
                shutil.rmtree(aside, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
        return out

    def _write(self, file: File, folder: Path) -> None:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            for chunk in self._checked(file):
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self._file.close()

    def __enter__(self) -> "Pack":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Errors:
    """Turns what goes wrong while a pack is read into one line."""

    def __init__(self, path: Path, out: Path | None = None) -> None:
        self._path, self._out = path, out

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and self._out is not None:
            raise BundleError(
                f"{self._out}: cannot be written ({error.strerror}); choose a writable folder with space"
            ) from None
        if isinstance(error, OSError | ValueError):
            why = error.strerror if isinstance(error, OSError) else error
            raise BundleError(f"{self._path}: is no whole pack: {why}; {_REMEDY}") from None


def is_pack(path: Path) -> bool:
    """Whether the file at `path` looks like a pack by its first bytes."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
