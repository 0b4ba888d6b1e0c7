"""Zones that are drawn in the live page become the file that the run was given, and what the run counts by."""

import hashlib
import logging
import os
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from segrt.runtime.console.words import counted
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import check_folder, write_atomic
from segrt.runtime.stream.zone_plans import Planned, PlanReader, refuse_other_sources
from segrt.runtime.zones.zone_file import read_zone_bytes

log = logging.getLogger("segrt.stream")


class ZonesChangedError(SegrtError):
    """The zones are not those any more that the new ones were drawn over."""


class ZoneSaving:
    """Keeps the file of zones at `path` and what it says, `planned`; both change together, from any thread.

    A file that is not there yet holds nothing. Raises SegrtError for one that is not right, or could not be written.
    """

    def __init__(self, path: Path, reader: PlanReader) -> None:
        self._path, self._reader = path.resolve(), reader
        check_folder(self._path.parent)
        data = self._on_disk()
        self.planned: Planned = reader.read_nothing(str(path)) if data is None else reader.read(data, str(path))
        self.revision = _revision(data)
        """What the file holds, shortly: it changes with every change, and is "" before there is a file."""
        self.name = path.name
        self.sources: Collection[str] = ()
        """The names of the sources that zones may be of."""
        self._lock = threading.Lock()

    def save(self, data: bytes, revision: str | None = None) -> None:
        """Check `data` as the file is checked at the start, write it, and let the run count by it.

        The file before is kept beside it, as NAME.bak. Raises SegrtError, and changes nothing, when `data` is not
        right or cannot be written; ZonesChangedError when `revision` is given and is not that of now, or when
        somebody has changed the file.
        """
        planned = self._reader.read(data, self.name)
        refuse_other_sources(planned.plan, self.sources)
        with self._lock:
            if revision not in (None, self.revision):
                raise ZonesChangedError(f"{self.name}: was saved by another page meanwhile; draw again over its zones")
            before = self._on_disk()
            if before is not None and _revision(before) != self.revision:
                raise ZonesChangedError(
                    f"{self.name}: was changed on the device since it was read; start the stream again to take it up"
                )
            self._write(data, before)
            self.planned, self.revision = planned, _revision(data)
        zones, lines = counted(len(planned.plan.zones), "zone"), counted(len(planned.plan.lines), "line")
        log.warning("zones: saved from the live page, %s and %s", zones, lines)

    def _on_disk(self) -> bytes | None:
        return read_zone_bytes(self._path) if os.path.lexists(self._path) else None

    def _write(self, data: bytes, before: bytes | None) -> None:
        if before is not None:
            write_atomic(self._path.with_name(f"{self._path.name}.bak"), before)
        mode = None if before is None else self._path.stat().st_mode
        write_atomic(self._path, data)
        if mode is not None:
            with suppress(OSError):  # who may read and write it stays the same, where the owner is
                self._path.chmod(mode & 0o7777)


def _revision(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()[:16]
