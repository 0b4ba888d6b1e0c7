"""The tables of an archive, column by column, and the rows that results become."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from segrt.runtime.results import InstanceResult, PanopticResult, Result, rle
from segrt.runtime.scale.archive.arrow_library import arrow

SEGMENTS, FRAMES, FAILURES, INDEX, SOURCES = "segments", "frames", "failures", "index", "sources"
TABLES = (SEGMENTS, FRAMES, FAILURES, INDEX)
"""Folders of parts; `sources` is one part."""

_COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    SEGMENTS: (
        ("source", "string"), ("frame", "int64"), ("pts", "float64"), ("class_id", "int32"), ("class", "string"),
        ("score", "float64"), ("rle", "rle"), ("box", "box"), ("area", "int64"), ("track_id", "int64"),
        ("segment_id", "int32"),
    ),
    FRAMES: (
        ("source", "string"), ("frame", "int64"), ("pts", "float64"), ("width", "int32"), ("height", "int32"),
        ("segments", "int32"), ("nonfinite_heads", "int32"), ("clip", "string"),
    ),
    FAILURES: (
        ("source", "string"), ("kind", "string"), ("message", "string"), ("clip", "string"), ("attempts", "int32"),
    ),
    INDEX: (
        ("clip", "string"), ("source", "string"), ("kind", "string"), ("size", "int64"), ("modified", "int64"),
        ("start", "int64"), ("end", "int64"), ("first_frame", "int64"), ("frames", "int64"), ("before", "int64"),
        ("begins", "float64"), ("ends", "float64"),
    ),
    SOURCES: (
        ("source", "string"), ("frames", "int64"), ("empty_frames", "int64"), ("segments", "int64"),
        ("first_pts", "float64"), ("last_pts", "float64"), ("clips", "int64"), ("failures", "int64"),
    ),
}  # fmt: skip


@lru_cache(maxsize=16)
def schema_of(table: str) -> Any:
    """Return the schema of a table.

    `rle` is COCO's {size: [height, width], counts: ASCII}; `box` is x0, y0, x1, y1 in pixels.
    """
    pa = arrow()
    kinds = {
        "rle": pa.struct([("size", pa.list_(pa.int32(), 2)), ("counts", pa.string())]),
        "box": pa.list_(pa.float32(), 2 * 2),
        "string": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in _COLUMNS[table]])


def table_of(table: str, rows: Iterable[dict[str, Any]]) -> Any:
    """Return rows (column → value) as a table of that schema."""
    return arrow().Table.from_pylist(list(rows), schema=schema_of(table))


@dataclass(frozen=True)
class Place:
    """Where rows belong: a source, the frame's number in it, its time in seconds."""

    source: str
    frame: int
    pts: float | None


def rows_of(place: Place, result: Result) -> list[dict[str, Any]]:
    """Return the rows of `segments` that a result becomes: one a segment or object, one a class of a semantic result.

    Their order is the result's: that of its segments or objects, the largest class first.
    """
    if isinstance(result, PanopticResult):
        found = _of_panoptic(result)
    elif isinstance(result, InstanceResult):
        found = _of_instances(result)
    else:
        class_map, regions = result.class_map, result.regions()
        codes = [rle.encode(class_map == region.class_id) for region in regions]
        boxes = rle.measure(codes)[1].tolist() if codes else []
        found = [
            _row(region.class_id, region.name, None, code, box, region.area)
            for region, code, box in zip(regions, codes, boxes, strict=True)
        ]
    where = {"source": place.source, "frame": place.frame, "pts": place.pts}
    return [{**where, **row} for row in found]


def frame_row(place: Place, result: Result, segments: int, clip: str) -> dict[str, Any]:
    """Return the row of `frames` about a frame with so many rows in `segments`."""
    height, width = result.size
    return {
        "source": place.source, "frame": place.frame, "pts": place.pts, "width": width, "height": height,
        "segments": segments, "nonfinite_heads": result.nonfinite_heads, "clip": clip,
    }  # fmt: skip


def _of_panoptic(result: PanopticResult) -> list[dict[str, Any]]:
    ids = result.stored_ids
    rows = []
    for segment in result.segments:
        x, y, width, height = segment.bbox
        code = rle.encode(ids == ids.dtype.type(segment.id))
        row = _row(segment.class_id, segment.name, float(segment.score), code, (x, y, x + width, y + height))
        rows.append({**row, "area": int(segment.area), "track_id": segment.track_id, "segment_id": segment.id})
    return rows


def _of_instances(result: InstanceResult) -> list[dict[str, Any]]:
    areas = rle.measure(result.rles)[0].tolist() if len(result) else []
    return [
        {**_row(item.class_id, item.name, item.score, item.rle, item.box, area), "track_id": item.track_id}
        for item, area in zip(result, areas, strict=True)
    ]


def _row(
    class_id: int, name: str, score: float | None, code: "rle.Rle", box: Iterable[float], area: int = 0
) -> dict[str, Any]:
    return {
        "class_id": class_id, "class": name, "score": score, "rle": rle.text(code),
        "box": np.asarray(list(box), np.float32).tolist(), "area": area, "track_id": None, "segment_id": None,
    }  # fmt: skip
