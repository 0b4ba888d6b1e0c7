"""Folders of Parquet parts, on a disk or behind an address; a part appears whole, under its own name, or not at all."""

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.scale.archive.arrow_library import arrow
from segrt.runtime.scale.archive.file_systems import open_address, reason_of_arrow

PART = ".parquet"
_PARTIAL = ".partial"
_LEFT_OVER_SECONDS = 3600.0  # what was not touched for so long is no longer being written
_PIECE = 8 << 20


class StoreError(SegrtError):
    """What was to be kept could not be written: no clip that follows could be, either."""


class PartWriter:
    """Takes the rows of one part, table by table, into a file aside."""

    def __init__(self, where: Any, schema: Any) -> None:
        self._writer = arrow("parquet").ParquetWriter(where, schema, compression="zstd")

    def add(self, table: Any) -> None:
        """Write rows: a table of the part's schema, as one group."""
        self._writer.write_table(table)

    def close(self) -> None:
        """Write what Parquet has at its end."""
        self._writer.close()


class ArchiveStore:
    """The folder `out`: a path, or an address that pyarrow knows; a table is a folder of parts in it.

    `run` is what files are marked with that are not whole yet, so that a run can delete those of its dead workers.
    """

    def __init__(self, out: str, run: str = "") -> None:
        self._run = run
        self.out = out if scheme_of(out) else os.path.abspath(out)  # noqa: PTH100 (links stay as they are)
        opened = open_address(self.out)
        self.shown = out if opened.is_local else opened.prefix + opened.path
        self._system, self._base, self._local = opened.system, opened.path.rstrip("/"), opened.is_local

    def prepare(self, tables: tuple[str, ...]) -> None:
        """Make the folders; raise SegrtError where that cannot be."""
        for table in tables:
            if self._local:
                make_folder(Path(self._base) / table)
            else:
                with self._trouble():
                    self._system.create_dir(f"{self._base}/{table}", recursive=True)

    def entries(self) -> list[str]:
        """Return the names of what lies in the folder; nothing where it is not there."""
        return [Path(info.path).name for info in self._listed("")]

    def parts(self, table: str) -> set[str]:
        """Return the names of a table's parts, without suffix."""
        names = (Path(info.path).name for info in self._listed(table))
        return {name[: -len(PART)] for name in names if name.endswith(PART) and not name.startswith((".", "_"))}

    def left_over(self, table: str) -> set[str]:
        """Return the names of a table's parts that nobody can still be busy with: those of long ago."""
        latest = (time.time() - _LEFT_OVER_SECONDS) * 1e9
        old = [info.path for info in self._listed(table) if info.mtime_ns is not None and info.mtime_ns < latest]
        return {Path(path).name.removesuffix(PART) for path in old} & self.parts(table)

    def has(self, table: str, part: str) -> bool:
        """Say whether a part is there."""
        with self._trouble():
            info = self._system.get_file_info(self._path(table, part))
        return bool(info.is_file)

    @contextmanager
    def new_part(self, table: str, part: str, schema: Any) -> Iterator[PartWriter]:
        """Yield the writer of a part, which is there when the block ends; after an error nothing is.

        Raises StoreError where it cannot be written.
        """
        with self._aside(table, part) as (aside, publish):
            with self._trouble():
                writer = PartWriter(aside, schema)
            try:
                yield _Guarded(writer, self._trouble)
            except BaseException:
                with suppress(Exception):  # it is deleted anyway
                    writer.close()
                raise
            with self._trouble():
                writer.close()
                publish()

    def write(self, table: str, part: str, rows: Any) -> None:
        """Write a table of pyarrow's as a part; raise StoreError where that fails."""
        with self.new_part(table, part, rows.schema) as writer:
            writer.add(rows)

    def read(self, table: str, part: str, columns: list[str] | None = None) -> Any:
        """Return a part as a table; raise SegrtError for one that cannot be read."""
        path = self._path(table, part)
        try:
            return arrow("parquet").read_table(path, filesystem=self._system, columns=columns, partitioning=None)
        except (OSError, ValueError, KeyError) as error:
            raise SegrtError(
                f"{self.shown}: {table}/{part}{PART} cannot be read ({reason_of_arrow(error, self.out)}); delete it, "
                "and archive its sources again"
            ) from None

    def delete(self, table: str, part: str) -> None:
        """Delete a part, if it is there."""
        with suppress(FileNotFoundError), self._trouble():
            if self._system.get_file_info(self._path(table, part)).is_file:
                self._system.delete_file(self._path(table, part))

    def read_text(self, name: str) -> bytes | None:
        """Return a file of the folder, or None where it is not there."""
        path = f"{self._base}/{name}"
        with self._trouble("read", "check its permissions"):
            if not self._system.get_file_info(path).is_file:
                return None
            with self._system.open_input_stream(path) as file:
                return bytes(file.read())

    def write_text(self, name: str, data: bytes) -> None:
        """Write a file of the folder, whole."""
        if self._local:
            write_atomic(Path(self._base) / name, data)
            return
        with self._trouble(), self._system.open_output_stream(f"{self._base}/{name}") as file:
            file.write(data)

    def sweep(self, tables: tuple[str, ...]) -> None:
        """Delete what writers that are no more have left aside: those of this run, and of any long ago."""
        if not self._local:
            return
        for table in tables:
            for path in (Path(self._base) / table).glob(f".*{_PARTIAL}"):
                with suppress(OSError):
                    is_ours = self._run and f".{self._run}-" in path.name
                    if is_ours or path.stat().st_mtime < time.time() - _LEFT_OVER_SECONDS:
                        path.unlink()

    def _listed(self, table: str) -> list[Any]:
        selector = arrow("fs").FileSelector(f"{self._base}/{table}".rstrip("/"), allow_not_found=True)
        with self._trouble("listed", "give a folder that can be read"):
            found: list[Any] = self._system.get_file_info(selector)
        return found

    def _path(self, table: str, part: str) -> str:
        return f"{self._base}/{table}/{part}{PART}" if table else f"{self._base}/{part}{PART}"

    @contextmanager
    def _aside(self, table: str, part: str) -> Iterator[tuple[Any, Callable[[], None]]]:
        """Yield where a part is written first, and what brings it to its place; an address gets it of a nameless file.

        Renaming shows a file when it is whole, and so does sending one.
        """
        path = self._path(table, part)
        if not self._local:
            with ExitStack() as stack:
                with self._trouble():
                    file = stack.enter_context(tempfile.TemporaryFile())
                yield file, lambda: self._send(file, path)
            return
        aside = Path(self._base) / table / f".{part}.{self._run}-{secrets.token_hex(4)}{_PARTIAL}"
        try:
            yield str(aside), lambda: _rename(aside, path)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _send(self, file: BinaryIO, path: str) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        with self._system.open_output_stream(path) as target:
            while piece := file.read(_PIECE):
                target.write(piece)
        if self._system.get_file_info(path).size != size:
            self._system.delete_file(path)
            raise OSError("it was cut off on its way")

    @contextmanager
    def _trouble(
        self, done: str = "written", remedy: str = "make room, or give a writable folder; what is there stays"
    ) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise StoreError(f"{self.shown}: cannot be {done} (a folder is gone); run the command again") from None
        except OSError as error:
            text = error.strerror or reason_of_arrow(error, self.out)
            raise StoreError(f"{self.shown}: cannot be {done} ({redact(text)}); {remedy}") from None


def _rename(aside: Path, path: str) -> None:
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


class _Guarded(PartWriter):
    """A writer whose troubles are the store's."""

    def __init__(self, writer: PartWriter, trouble: Any) -> None:
        self._inner, self._trouble = writer, trouble

    def add(self, table: Any) -> None:
        with self._trouble():
            self._inner.add(table)

    def close(self) -> None:
        with self._trouble():
            self._inner.close()
