"""Tiny results of a video, made of boxes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, rle

LABELS = (
    Label("road", 1, False, (90, 90, 90)),
    Label("car", 2, True, (0, 0, 200)),
    Label("person", 3, True, (200, 0, 0)),
)
ROAD, CAR, PERSON = range(3)
SIZE = (60, 200)


class Box(NamedTuple):
    """A thing that fills a box: left, top, width, height, class, score."""

    x: int
    y: int = 20
    width: int = 20
    height: int = 20
    class_id: int = CAR
    score: float = 0.9


def instances(*boxes: Box, size: tuple[int, int] = SIZE) -> InstanceResult:
    """Return a result with an object for each box; they may cover each other."""
    masks = np.zeros((len(boxes), *size), bool)
    for mask, box in zip(masks, boxes, strict=True):
        mask[box.y : box.y + box.height, max(0, box.x) : max(0, box.x + box.width)] = True
    edges = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]
    return InstanceResult(
        boxes=np.array(edges, np.float32).reshape(-1, 4),
        scores=np.array([box.score for box in boxes], np.float32),
        class_ids=np.array([box.class_id for box in boxes], np.int64),
        rles=[rle.encode(mask) for mask in masks],
        size=size,
        labels=LABELS,
    )


def panoptic(*boxes: Box, size: tuple[int, int] = SIZE) -> PanopticResult:
    """Return a result of road and, upon it, a thing for each box, later ones in front; what is hidden is left out."""
    ids = np.full(size, 1, np.int32)
    for number, box in enumerate(boxes):
        ids[box.y : box.y + box.height, max(0, box.x) : max(0, box.x + box.width)] = number + 2
    segments = []
    for number, box in enumerate((Box(0, class_id=ROAD), *boxes)):
        rows, columns = np.nonzero(ids == number + 1)
        if len(rows):
            left, top = int(columns.min()), int(rows.min())
            bbox = (left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
            thing = box.class_id != ROAD
            segments.append(Segment(number + 1, box.class_id, thing, box.score, len(rows), bbox))
    return PanopticResult(ids, segments, LABELS)


def ids_of(result: InstanceResult | PanopticResult) -> Sequence[int | None]:
    """Return the track ids of a result's things, in their order."""
    return [item.track_id for item in result if LABELS[item.class_id].isthing]
