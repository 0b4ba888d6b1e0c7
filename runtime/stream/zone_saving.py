"""Zones that are drawn in the live page become the file that the run was given, and what the run counts by."""

import hashlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from segrt.runtime.console.words import counted
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import check_folder, write_atomic
from segrt.runtime.stream.zone_plans import Planned, PlanReader, refuse_other_sources
from segrt.runtime.zones.shapes import ZonePlan
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
        self.on_saved: Callable[[ZonePlan], None] = _nothing
        """Called with what is saved before `revision` changes: whoever reads that first sees these zones, or newer."""
        self._lock = threading.Lock()

    def save(self, data: bytes, revision: str | None = None) -> str:
        """Check `data` as the file is checked at the start, write it, let the run count by it; return its revision.

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
            saved = _revision(data)
            self.on_saved(planned.plan)
            self.planned, self.revision = planned, saved
        zones, lines = counted(len(planned.plan.zones), "zone"), counted(len(planned.plan.lines), "line")
        log.warning("zones: saved from the live page, %s and %s", zones, lines)
        return saved

    def _on_disk(self) -> bytes | None:
        return read_zone_bytes(self._path) if os.path.lexists(self._path) else None

    def _write(self, data: bytes, before: bytes | None) -> None:
        mode = None if before is None else stat.S_IMODE(self._path.stat().st_mode)  # who may read it stays the same
        if before is not None:
            write_atomic(self._path.with_name(f"{self._path.name}.bak"), before, mode=mode)
        write_atomic(self._path, data, mode=mode)


def _nothing(_: ZonePlan) -> None:
    """Tell nobody."""


def _revision(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()[:16]
