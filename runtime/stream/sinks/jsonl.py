"""Results as JSON lines: one line a frame, complete or absent."""

from collections.abc import Sequence
from contextlib import suppress
from errno import ENOSPC
from io import SEEK_END
from os import strerror
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult, rle
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.base import Picture, Sink
from segrt.runtime.stream.sinks.options import SinkOptions
from segrt.runtime.stream.sinks.place import check_file, could_not
from segrt.runtime.stream.sinks.segments import Segments
from segrt.runtime.stream.sources.base import SourceInfo


class JsonlSink(Sink):
    """Writes `path`, a JSON object on each line: source, index, pts, size [H, W] and what `describe` says.

    Every line is handed to the system at once, so a killed process leaves complete lines. Files are rotated as
    `SinkOptions` says.
    """

    name = "jsonl"

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        check_file(path)
        self._path = path
        options = options or SinkOptions()
        self._segments = Segments(path, options)
        self._masks = options.rle
        self._whole = 0  # bytes of complete lines
        self._file: BinaryIO | None = None
        self._lines = 0

    def open(self, sources: Sequence[SourceInfo]) -> None:  # noqa: ARG002 (lines name their source)
        """Create the file."""
        self._path = self._segments.next()
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise could_not(self._path, error, "nothing is in it") from error
        self._lines = self._whole = 0

    def reopen(self) -> None:
        """Go on behind the last complete line."""
        self.close()
        self._segments.prune()
        try:
            self._file = self._path.open("r+b" if self._path.exists() else "wb", buffering=0)
            self._file.truncate(self._whole)
            self._file.seek(0, SEEK_END)
        except OSError as error:
            raise could_not(self._path, error, f"{self._lines} complete lines are in it") from error

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Append the frame's line."""
        if self._segments.due(frame.pts):
            self.close()
            self.open(())
            self._segments.due(frame.pts)  # notes when it begins
        if self._file is None:
            self.reopen()
        assert self._file is not None
        line = msgspec.json.encode(line_of(frame, result, masks=self._masks))
        try:
            if self._file.write(line + b"\n") != len(line) + 1:
                raise OSError(ENOSPC, strerror(ENOSPC))  # a full disk takes a part first
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._whole)
            raise could_not(self._path, error, f"{self._lines} complete lines are in it") from error
        self._lines += 1
        self._whole += len(line) + 1

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def line_of(frame: Frame, result: Result, *, masks: bool = False) -> dict[str, Any]:
    """Return what a line says of a frame and its result; with `masks`, each segment's or instance's COCO `rle`, too."""
    described = describe(result)
    if masks and isinstance(result, PanopticResult):
        for segment in described["segments"]:
            segment["rle"] = _readable(rle.encode(result.segment_ids == segment["id"]))
    elif masks and isinstance(result, InstanceResult):
        for instance, encoded in zip(described["instances"], result.rles, strict=True):
            instance["rle"] = _readable(encoded)
    return {
        "source": frame.source_id,
        "index": frame.index,
        "pts": None if frame.pts is None else round(frame.pts, 6),
        "size": list(frame.size),
        **described,
        **({"nonfinite_heads": result.nonfinite_heads} if result.nonfinite_heads else {}),
    }


def describe(result: Result) -> dict[str, Any]:
    """Return the result without its pixels, ready for JSON.

    - panoptic: `segments`, each with id, class_id, name, isthing, score, area (pixels), bbox [x, y, width, height];
    - instance: `instances`, each with class_id, name, score, area, bbox [x, y, width, height];
    - semantic: `areas`, name → pixels, of the classes that occur; void is left out.
    """
    if isinstance(result, PanopticResult):
        return {
            "technique": "panoptic",
            "segments": [
                {
                    "id": segment.id,
                    "class_id": segment.class_id,
                    "name": result.labels[segment.class_id].name,
                    "isthing": segment.isthing,
                    "score": round(float(segment.score), 4),
                    "area": segment.area,
                    "bbox": list(segment.bbox),
                }
                for segment in result.segments
            ],
        }
    if isinstance(result, InstanceResult):
        sizes = np.concatenate((result.boxes[:, :2], result.boxes[:, 2:] - result.boxes[:, :2]), axis=1)
        return {
            "technique": "instance",
            "instances": [
                {
                    "class_id": int(class_id),
                    "name": result.labels[int(class_id)].name,
                    "score": round(float(score), 4),
                    "area": rle.area(encoded),
                    "bbox": [round(float(value), 2) for value in box],
                }
                for class_id, score, encoded, box in zip(
                    result.class_ids, result.scores, result.rles, sizes, strict=True
                )
            ],
        }
    return {"technique": "semantic", "areas": _areas(result)}


def _readable(encoded: rle.Rle) -> dict[str, Any]:
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def _areas(result: SemanticResult) -> dict[str, int]:
    counts = np.bincount(result.class_map.reshape(-1), minlength=len(result.labels))
    # Two classes may bear one name; the map is by name, so their pixels add up.
    areas: dict[str, int] = {}
    for label, count in zip(result.labels, counts.tolist(), strict=False):
        if count:
            areas[label.name] = areas.get(label.name, 0) + count
    return areas
