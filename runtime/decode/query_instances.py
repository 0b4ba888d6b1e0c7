"""Instance decoders: a mask, class and score for every object."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.bundle.rules import PasteMasks, QueryInstances
from segrt.runtime.decode.decoders import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult

Array = npt.NDArray[Any]


def query_instances(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `class_logits` (Q, C or C+1) and `mask_logits` (Q, h, w): the best (query, class) pairs and masks."""
    rule = cast("QueryInstances", context.decode)
    masks = heads["mask_logits"]
    class_ids, scores, boxes, rles = postproc.query_instances_rle(
        heads["class_logits"],
        masks,
        geometry.source_size,
        top_k=rule.top_k,
        score_threshold=rule.score_threshold,
        activation=rule.activation,
        window=geometry.window_on((masks.shape[1], masks.shape[2])),
        threads=context.threads,
    )
    return InstanceResult(boxes, scores, class_ids, rles, geometry.source_size, context.labels)


def paste_masks(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `boxes` (N, 4) in network pixels, `scores`, `class_ids` and box-sized mask probabilities (N, m, m)."""
    rule = cast("PasteMasks", context.decode)
    scores = np.asarray(heads["scores"], np.float32)
    kept = np.flatnonzero(scores >= rule.score_threshold)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    class_ids = heads["class_ids"][kept].astype(np.int64) - rule.first_class
    if class_ids.size and (class_ids.min() < 0 or class_ids.max() >= len(context.labels)):
        raise BundleError(
            f"the network gives class ids {int(class_ids.min())} to {int(class_ids.max())} after subtracting "
            f"first_class {rule.first_class}, but the bundle has {len(context.labels)} labels; adopt it with its own"
        )
    boxes = boxes_to_source(np.asarray(heads["boxes"][kept], np.float32), geometry)
    masks = np.ascontiguousarray(heads["masks"][kept], np.float32)
    masks = masks[:, 0] if masks.ndim == 4 else masks
    rles = postproc.paste_masks_rle(
        masks, boxes, geometry.source_size, threshold=rule.mask_threshold, threads=context.threads
    )
    return InstanceResult(boxes, scores[kept], class_ids, rles, geometry.source_size, context.labels)


def boxes_to_source(boxes: npt.NDArray[np.float32], geometry: Geometry) -> npt.NDArray[np.float32]:
    """Return `boxes` (N, 4) xyxy in network pixels as source pixels, clipped to the picture."""
    top, left, bottom, right = geometry.window
    height, width = geometry.source_size
    scale = np.array([width / (right - left), height / (bottom - top)] * 2, np.float32)
    moved = (boxes - np.array([left, top] * 2, np.float32)) * scale
    clipped: npt.NDArray[np.float32] = np.clip(moved, 0, np.array([width, height] * 2, np.float32))
    return clipped
