"""A result as one JSON object: the line of a file, the payload of a message, the answer of the live page."""

from typing import Any, Protocol

import numpy as np

from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult, rle

FORMAT = "1.1"
"""Of lines, "major.minor": 1.1 added it, and `track_id`. Fields may be added within 1.x."""


class FrameOfSource(Protocol):
    """What a line says of a frame: its source, its number there, seconds, and (H, W) in pixels."""

    @property
    def source_id(self) -> str:
        """The name of its source."""

    @property
    def index(self) -> int:
        """Its place in the source."""

    @property
    def pts(self) -> float | None:
        """Its time in seconds, None where the source states none."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""


def line_of(frame: FrameOfSource, result: Result, *, masks: bool = False) -> dict[str, Any]:
    """Return what a line says of a frame and its result; with `masks`, each segment's or instance's COCO `rle`, too."""
    described = describe(result)
    if masks and isinstance(result, PanopticResult):
        for segment in described["segments"]:
            segment["rle"] = rle.text(rle.encode(result.segment_ids == segment["id"]))
    elif masks and isinstance(result, InstanceResult):
        for instance, encoded in zip(described["instances"], result.rles, strict=True):
            instance["rle"] = rle.text(encoded)
    return {
        "format": FORMAT,
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
      both with track_id where things are tracked;
    - semantic: `areas`, name → pixels, of the classes that occur; void is left out.
    """
    if isinstance(result, PanopticResult):
        return {"technique": "panoptic", "segments": result.to_rows()}
    if isinstance(result, InstanceResult):
        return {"technique": "instance", "instances": result.to_rows()}
    return {"technique": "semantic", "areas": _areas(result)}


def _areas(result: SemanticResult) -> dict[str, int]:
    counts = np.bincount(result.class_map.reshape(-1), minlength=len(result.labels))
    # Two classes may bear one name; the map is by name, so their pixels add up.
    areas: dict[str, int] = {}
    for label, count in zip(result.labels, counts.tolist(), strict=False):
        if count:
            areas[label.name] = areas.get(label.name, 0) + count
    return areas
