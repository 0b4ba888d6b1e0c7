"""Reads an archive back: each frame's result, made anew of its rows."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, SemanticResult, rle
from segrt.runtime.results.panoptic import Segment
from segrt.runtime.results.semantic import class_map_dtype
from segrt.runtime.scale.archive.archive_dataset import ArchiveRecord, is_archive, read_record
from segrt.runtime.scale.archive.archive_store import ArchiveStore
from segrt.runtime.scale.archive.row_tables import FRAMES, SEGMENTS

Rows = list[dict[str, Any]]


def is_archive_folder(path: str | Path) -> bool:
    """Say whether there is an archive at a path; False without pyarrow, too, which wrote none here then."""
    try:
        return (Path(path) / "dataset.json").is_file() and is_archive(ArchiveStore(str(path)))
    except SegrtError:
        return False


@dataclass
class ArchivedResults:
    """The results of an archive, by source and frame; of the clip that was asked for last they are kept."""

    path: str
    _clip: tuple[str, dict[tuple[str, int], Rows]] = field(default=("", {}), repr=False)

    @cached_property
    def store(self) -> ArchiveStore:
        """Its folder."""
        return ArchiveStore(self.path)

    @cached_property
    def record(self) -> ArchiveRecord:
        """What it says of itself; raises SegrtError where it is none that this segrt reads."""
        return read_record(self.store)

    @cached_property
    def frames(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The rows of `frames` by (source, frame)."""
        found = {}
        for part in sorted(self.store.parts(FRAMES)):
            for row in self.store.read(FRAMES, part).to_pylist():
                found[row["source"], row["frame"]] = row
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """Sources by the names of their files."""
        names: dict[str, list[str]] = {}
        for source in dict.fromkeys(source for source, _ in self.frames):
            names.setdefault(os.path.basename(source), []).append(source)  # noqa: PTH119 (addresses too)
        return names

    def source_of(self, path: Path) -> str | None:
        """Return the source that is the file at `path`, or is the only one of its name; None where there is none."""
        absolute = os.path.abspath(path)  # noqa: PTH100 (links stay as they are)
        if (absolute, 0) in self.frames:
            return absolute
        alike = self._by_name.get(path.name, [])
        return alike[0] if len(alike) == 1 else None

    def result(self, source: str, frame: int = 0) -> Result:
        """Return a frame's result; raise SegrtError where the archive has no such frame."""
        row = self.frames.get((source, frame))
        if row is None:
            raise SegrtError(f"{self.path}: has no frame {frame} of {source}; archive it, too")
        if self._clip[0] != row["clip"]:
            by_frame: dict[tuple[str, int], Rows] = {}
            for segment in self.store.read(SEGMENTS, row["clip"]).to_pylist():
                by_frame.setdefault((segment["source"], segment["frame"]), []).append(segment)
            self._clip = (row["clip"], by_frame)
        rows = self._clip[1].get((source, frame), [])
        return result_of(self.record, (row["height"], row["width"]), rows)


def result_of(record: ArchiveRecord, size: tuple[int, int], rows: Rows) -> Result:
    """Return the result that rows of `segments`, in their order, were made of; `size` is (height, width)."""
    codes = [_code(row) for row in rows]
    labels = record.labels
    if record.technique == "semantic":
        dtype = class_map_dtype(len(labels))
        classes = np.full(size, np.iinfo(dtype).max, dtype)
        for row, code in zip(rows, codes, strict=True):
            classes[rle.decode(code)] = row["class_id"]
        return SemanticResult(classes, labels)
    if record.technique == "instance":
        return _instances(size, rows, codes, labels)
    ids = np.zeros(size, np.int32)
    for row, code in zip(rows, codes, strict=True):
        ids[rle.decode(code)] = row["segment_id"]
    return PanopticResult(ids, [_segment(row, labels) for row in rows], labels)


def _instances(size: tuple[int, int], rows: Rows, codes: "list[rle.Rle]", labels: tuple[Label, ...]) -> InstanceResult:
    return InstanceResult(
        boxes=np.array([row["box"] for row in rows], np.float32).reshape(-1, 4),
        scores=np.array([row["score"] for row in rows], np.float32),
        class_ids=np.array([row["class_id"] for row in rows], np.int64),
        rles=codes,
        size=size,
        labels=labels,
    )


def _segment(row: dict[str, Any], labels: tuple[Label, ...]) -> Segment:
    x0, y0, x1, y1 = (int(edge) for edge in row["box"])
    label = labels[row["class_id"]]
    return Segment(
        id=row["segment_id"],
        class_id=row["class_id"],
        isthing=label.isthing,
        score=row["score"],
        area=row["area"],
        bbox=(x0, y0, x1 - x0, y1 - y0),
        name=label.name,
        track_id=row["track_id"],
    )


def _code(row: dict[str, Any]) -> "rle.Rle":
    return {"size": list(row["rle"]["size"]), "counts": row["rle"]["counts"].encode("ascii")}


def evenly(items: Iterable[Any], most: int) -> list[Any]:
    """Return at most `most` of the items, evenly spread, the first and the last among them."""
    known = list(items)
    places = np.linspace(0, len(known) - 1, min(most, len(known))).round().astype(int)
    return [known[place] for place in places]
