"""The instance decoder of networks whose masks are sums of prototypes: YOLO and YOLACT."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.bundle.rules import PrototypeMasks
from segrt.runtime.decode.decoders import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


def prototype_masks(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `predictions` (R, A) or (A, R) and `prototypes` (K, h, w); objects with an empty mask are left out."""
    rule = cast("PrototypeMasks", context.decode)
    prototypes = heads["prototypes"]
    table = heads["predictions"]
    length = rule.length(len(context.labels), len(prototypes))
    # Where both axes have this length, the anchors are counted along the second, as YOLOv8 and later do.
    table = table if table.shape[0] == length else table.T
    if rule.rows == "detections":
        found = _detections(table, rule, len(context.labels))
    else:
        table = _with_objectness(table, rule, len(context.labels)) if rule.rows == "yolov5" else table
        found = postproc.decode_yolo(
            table,
            score_threshold=rule.score_threshold,
            iou_threshold=rule.iou_threshold,
            max_detections=rule.max_detections,
            coefficients=len(prototypes),
        )
    boxes = _to_source(found.boxes, geometry)
    rles = postproc.prototype_masks_rle(
        prototypes,
        found.coefficients,
        boxes,
        geometry.source_size,
        window=geometry.window_on((prototypes.shape[1], prototypes.shape[2])),
        threads=context.threads,
    )
    areas, _ = postproc.measure_rle(rles)
    kept = np.flatnonzero(areas)
    height, width = geometry.source_size
    return InstanceResult(
        boxes=np.clip(boxes[kept], 0, np.array([width, height] * 2, np.float32)),
        scores=found.scores[kept],
        class_ids=found.class_ids[kept],
        rles=[rles[index] for index in kept],
        size=geometry.source_size,
        labels=context.labels,
    )


def _with_objectness(table: Array, rule: PrototypeMasks, classes: int) -> Array:
    """Return YOLOv5's table (5 + C + K, A) without its row of objectness, by which class scores are multiplied.

    Anchors whose objectness alone is not above the threshold can't pass it and are left out.
    """
    likely = np.flatnonzero(table[4] > rule.score_threshold)
    chosen = table[:, likely].astype(np.float32)
    scores = chosen[5 : 5 + classes] * chosen[4]
    return np.concatenate([chosen[:4], scores, chosen[5 + classes :]])


def _detections(table: Array, rule: PrototypeMasks, classes: int) -> postproc.YoloDetections:
    """Return the rows of a table (6 + K, A) that are above the threshold, best first."""
    scores = table[4].astype(np.float32)
    kept = np.flatnonzero((scores > rule.score_threshold) & np.isfinite(table).all(axis=0))
    kept = kept[np.argsort(-scores[kept], kind="stable")][: rule.max_detections]
    class_ids = table[5, kept].astype(np.int64)
    if class_ids.size and not 0 <= int(class_ids.min()) <= int(class_ids.max()) < classes:
        raise BundleError(
            f"the network gives class ids {int(class_ids.min())} to {int(class_ids.max())}, but there are {classes} "
            "labels; adopt it with its own"
        )
    chosen = table[:, kept].T.astype(np.float32)
    return postproc.YoloDetections(chosen[:, :4].copy(), scores[kept], class_ids, chosen[:, 6:].copy())


def _to_source(boxes: Floats, geometry: Geometry) -> Floats:
    """Return `boxes` (N, 4) xyxy in network pixels as source pixels, as far as they reach beyond the picture."""
    top, left, bottom, right = geometry.window
    height, width = geometry.source_size
    scale = np.array([width / (right - left), height / (bottom - top)] * 2, np.float32)
    moved: Floats = (boxes - np.array([left, top] * 2, np.float32)) * scale
    return moved
