"""The rows of one clip on their way into its two parts: few at a time in memory, both there at the end or neither."""

from contextlib import ExitStack
from types import TracebackType
from typing import Any

from segrt.runtime.results import Result
from segrt.runtime.scale.archive.archive_store import ArchiveStore, PartWriter
from segrt.runtime.scale.archive.row_tables import FRAMES, SEGMENTS, Place, frame_row, rows_of, schema_of, table_of

_MOST_ROWS = 4096
_MOST_BYTES = 16 << 20  # of run lengths


class RowBuffer:
    """Takes results of a clip in order; a context, which writes its parts when it ends without an error.

    `segments` is written first: a clip is complete when its part of `frames` is there.
    """

    def __init__(self, store: ArchiveStore, clip_id: str) -> None:
        self._store, self._clip_id = store, clip_id
        self._open = ExitStack()
        self._rows: dict[str, list[dict[str, Any]]] = {SEGMENTS: [], FRAMES: []}
        self._writers: dict[str, PartWriter] = {}
        self._bytes = 0
        self.frames = self.segments = 0

    def __enter__(self) -> "RowBuffer":
        for table in (FRAMES, SEGMENTS):  # closed the other way round
            part = self._store.new_part(table, self._clip_id, schema_of(table))
            self._writers[table] = self._open.enter_context(part)
        return self

    def add(self, place: Place, result: Result) -> None:
        """Add a frame and its result."""
        rows = rows_of(place, result)
        self._rows[SEGMENTS] += rows
        self._rows[FRAMES].append(frame_row(place, result, len(rows), self._clip_id))
        self.frames += 1
        self.segments += len(rows)
        self._bytes += sum(len(row["rle"]["counts"]) for row in rows)
        if self._bytes > _MOST_BYTES or max(map(len, self._rows.values())) >= _MOST_ROWS:
            self._flush()

    def _flush(self) -> None:
        for table, rows in self._rows.items():
            if rows:
                self._writers[table].add(table_of(table, rows))
                rows.clear()
        self._bytes = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._flush()
            except BaseException as trouble:
                self._open.__exit__(type(trouble), trouble, trouble.__traceback__)
                raise
        self._open.__exit__(kind, error, trace)
