"""What the functions take and return."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float16]
MergeRule = Literal["maskformer", "mask2former", "eomt", "detr"]
ScoreAt = Literal["grid", "processed", "picture"]


class Rle(TypedDict):
    """COCO run-length encoding of one mask, as pycocotools writes it: size [height, width] and packed counts."""

    size: list[int]
    counts: bytes


class MergedSegment(NamedTuple):
    """One segment of a merged map: bbox is (x, y, width, height) in pixels, query the (most confident) query of it."""

    id: int
    class_id: int
    score: float
    area: int
    bbox: tuple[int, int, int, int]
    query: int


class QueryInstances(NamedTuple):
    """Instances by descending score: class_ids (N,) int64, scores (N,) float32, boxes (N, 4) float32 xyxy, N codes."""

    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    rles: list[Rle]


class YoloDetections(NamedTuple):
    """Boxes (N, 4) float32 xyxy, scores (N,) float32, class_ids (N,) int64 and coefficients (N, M) float32."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    coefficients: NDArray[np.float32]


@dataclass
class Report:
    """What calls met on their way, added up over all calls it is given to."""

    nonfinite: int = 0
