"""One row for each source: how many frames, empty ones, segments, clips and failures, from the parts that are there."""

from dataclasses import asdict, dataclass
from typing import Any

from segrt.runtime.scale.archive.archive_store import ArchiveStore
from segrt.runtime.scale.archive.row_tables import FAILURES, FRAMES, SOURCES, table_of


@dataclass
class _Source:
    """The row of a source, while its parts are read."""

    source: str
    frames: int = 0
    empty_frames: int = 0
    segments: int = 0
    first_pts: float | None = None
    last_pts: float | None = None
    clips: int = 0
    failures: int = 0

    def add(self, group: dict[str, Any]) -> None:
        self.clips += 1
        self.frames += group["frame_count"]
        self.empty_frames += group["empty_sum"]
        self.segments += group["segments_sum"]
        for name, found, pick in (("first_pts", group["pts_min"], min), ("last_pts", group["pts_max"], max)):
            known = getattr(self, name)
            if found is not None:
                setattr(self, name, found if known is None else pick(known, found))


def write_summary(store: ArchiveStore) -> int:
    """Write `sources.parquet` anew from all parts of `frames` and `failures`; return how many frames that are."""
    sources: dict[str, _Source] = {}
    for part in sorted(store.parts(FRAMES)):
        for group in _groups(store.read(FRAMES, part, ["source", "pts", "segments"])):
            sources.setdefault(group["source"], _Source(group["source"])).add(group)
    for part in sorted(store.parts(FAILURES)):
        for name in store.read(FAILURES, part, ["source"])["source"].to_pylist():
            sources.setdefault(name, _Source(name)).failures += 1
    rows = [asdict(sources[name]) for name in sorted(sources)]
    store.write("", SOURCES, table_of(SOURCES, rows))
    return sum(row["frames"] for row in rows)


def _groups(frames: Any) -> list[dict[str, Any]]:
    """Return figures of each source in a part: counts, the earliest and the latest time."""
    empty = [int(count == 0) for count in frames["segments"].to_pylist()]
    table = frames.append_column("empty", [empty]).append_column("frame", [list(range(frames.num_rows))])
    figures = [("frame", "count"), ("empty", "sum"), ("segments", "sum"), ("pts", "min"), ("pts", "max")]
    groups: list[dict[str, Any]] = table.group_by("source").aggregate(figures).to_pylist()
    return groups
