"""Results as JSON lines: one line a frame, complete or absent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from segrt.runtime.outputs.line_file import LineFile
from segrt.runtime.outputs.output_files import check_file
from segrt.runtime.outputs.rotation import Segments
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult, rle
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Picture, Sink
from segrt.runtime.stream.sources.source import SourceInfo


class JsonlSink(Sink):
    """Writes `path`, a JSON object on each line: source, index, pts, size [H, W] and what `describe` says.

    Every line is handed to the system at once, so a killed process leaves complete lines. Files are rotated as
    `SinkOptions` says.
    """

    name = "jsonl"

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        check_file(path)
        options = options or SinkOptions()
        self._segments = Segments(path, options)
        self._masks = options.rle
        self._file: LineFile | None = None

    def open(self, sources: Sequence[SourceInfo]) -> None:  # noqa: ARG002 (lines name their source)
        """Create the file."""
        self._file = LineFile(self._segments.next())

    def reopen(self) -> None:
        """Go on behind the last complete line."""
        self._segments.prune()
        if self._file is None:
            self.open(())
        else:
            self._file.reopen()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Append the frame's line."""
        if self._file is not None and self._segments.due(frame.pts):
            self._file.close()
            self.open(())
            self._segments.due(frame.pts)  # notes when it begins
        assert self._file is not None
        self._file.append(msgspec.json.encode(line_of(frame, result, masks=self._masks)))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


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
