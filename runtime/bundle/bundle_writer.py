"""Writes a bundle's folder: aside first, then renamed, so that there is a whole bundle or none."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from segrt.runtime.bundle.bundle import MANIFEST
from segrt.runtime.bundle.manifest import File, Manifest
from segrt.runtime.bundle.manifest_parsing import dump_manifest, parse_manifest
from segrt.runtime.errors import BundleError
from segrt.runtime.files.reading import open_regular

_PIECE = 1 << 22


class BundleWriter:
    """A bundle in the making, in a folder beside its target; `finish` puts it in place, leaving the block discards it.

    Making one already complains of a target that cannot be written, before any work: BundleError.

    with BundleWriter(out, overwrite=False) as writer:
        file = writer.add("model.fp32.onnx", data)
        writer.finish(Manifest(...))
    """

    def __init__(self, out: Path, *, overwrite: bool = False) -> None:
        out = Path(os.path.abspath(out))  # noqa: PTH100 ("." and ".." have no name to write beside; links stay)
        self.out = out
        if out.exists() and not overwrite:
            raise BundleError(f"{out}: is already there; choose another folder or add --overwrite")
        if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
            raise BundleError(f"{out}: is there and is no bundle, so it is not overwritten; choose another folder")
        above = next(folder for folder in out.parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            reason = "is no folder" if not above.is_dir() else "is not writable"
            raise BundleError(f"{out}: cannot be written, for {above} {reason}; choose another folder")
        self._aside = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")

    def __enter__(self) -> "BundleWriter":
        try:
            self._aside.mkdir(parents=True)
        except OSError as error:
            raise BundleError(f"{self.out}: cannot be written ({error.strerror}); choose a writable folder") from None
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)

    def add(self, path: str, data: bytes) -> File:
        """Write `data` as the file `path` of the bundle and return its entry for the manifest."""
        target = self._aside / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._cannot_write(path, error) from None
        return File(path, len(data), hashlib.sha256(data).hexdigest())

    def copy(self, path: str, source: Path) -> File:
        """Copy the file `source` as the file `path` of the bundle, piece by piece; return its entry for the manifest.

        Raises OSError when `source` cannot be read.
        """
        target, digest, size = self._aside / path, hashlib.sha256(), 0
        with open_regular(source) as given:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    while piece := given.read(_PIECE):
                        digest.update(piece)
                        size += file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise self._cannot_write(path, error) from None
        return File(path, size, digest.hexdigest())

    def finish(self, manifest: Manifest, check: Callable[[Path], None] | None = None) -> Path:
        """Write the manifest, let `check` look at the finished folder, then rename it to its place; return that."""
        data = dump_manifest(manifest)
        parse_manifest(data, str(self.out / MANIFEST))
        self.add(MANIFEST, data)
        if check is not None:
            check(self._aside)
        old = self._aside.with_suffix(".old")
        try:
            if self.out.exists():
                self.out.rename(old)
            self._aside.rename(self.out)
        except OSError as error:
            if old.exists() and not self.out.exists():
                old.rename(self.out)
            raise BundleError(f"{self.out}: cannot be put in place ({error.strerror}); choose another folder") from None
        shutil.rmtree(old, ignore_errors=True)
        return self.out

    def _cannot_write(self, path: str, error: OSError) -> BundleError:
        reason = error.strerror
        return BundleError(f"{self.out / path}: cannot be written ({reason}); choose a writable folder with space")
