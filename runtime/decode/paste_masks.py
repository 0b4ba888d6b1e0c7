"""Rule `paste_masks`: instances from boxes and box-sized masks."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.nonfinite import bad_heads
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult
from segrt.runtime.results.technique import Technique


class PasteMasks(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="paste_masks"
):
    """Instances from boxes and their masks (Mask R-CNN).

    Heads `boxes` (1, N, 4) xyxy in network pixels, `scores` (1, N), `class_ids` (1, N), `masks` (1, N, m, m) of
    probabilities; `first_class` is the id that the graph gives to label 0 (1 where it counts a background class).
    `masks_in` says where masks lie: in their `box`, or in the whole `picture` that the network sees, where its graph
    pasted them already (torchvision's own export). `paste_rule` says whose pasting it is where they lie in boxes:
    torchvision's (the default), or Matterport's (`unmold_detections` of its Mask R-CNN), whose boxes are whole pixels
    of the picture.
    """

    technique: ClassVar[Technique] = "instance"
    roles: ClassVar[tuple[str, ...]] = ("boxes", "scores", "class_ids", "masks")

    score_threshold: Share = 0.5
    mask_threshold: Share = 0.5
    first_class: Annotated[int, msgspec.Meta(ge=0)] = 0
    masks_in: Literal["box", "picture"] = "box"
    paste_rule: Literal["torchvision", "matterport"] | msgspec.UnsetType = msgspec.UNSET


def paste_masks(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `boxes` (N, 4) in network pixels, `scores`, `class_ids` and mask probabilities (N, m, m)."""
    rule = cast("PasteMasks", context.decode)
    scores = np.asarray(heads["scores"], np.float32)
    boxes = np.asarray(heads["boxes"], np.float32)
    kept = np.flatnonzero((scores >= rule.score_threshold) & np.isfinite(scores) & np.isfinite(boxes).all(axis=1))
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    class_ids = heads["class_ids"][kept].astype(np.int64) - rule.first_class
    check_class_ids(class_ids, rule, len(context.labels))
    if rule.paste_rule == "matterport":
        boxes = whole_pixel_boxes(boxes[kept], geometry)
        there = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        kept, class_ids, boxes = kept[there], class_ids[there], boxes[there]
    else:
        boxes = geometry.clipped(geometry.boxes_to_source(boxes[kept]))
    masks = np.ascontiguousarray(heads["masks"][kept], np.float32)
    masks = masks[:, 0] if masks.ndim == 4 else masks
    report = postproc.Report()
    size, threads = geometry.source_size, context.threads
    if rule.masks_in == "picture":
        window = geometry.window_on((masks.shape[1], masks.shape[2]))
        rles = postproc.whole_masks_rle(
            masks, size, threshold=rule.mask_threshold, window=window, threads=threads, report=report
        )
    else:
        peer: Literal["torchvision", "detectron2"] = "torchvision"
        if rule.paste_rule == "matterport":
            peer = "detectron2"  # in boxes of whole pixels it samples masks where skimage's resize does
        rles = postproc.paste_masks_rle(
            masks, boxes, size, threshold=rule.mask_threshold, rule=peer, threads=threads, report=report
        )
    bad = bad_heads(heads["boxes"], heads["scores"]) + (report.nonfinite > 0)
    return InstanceResult(
        boxes, scores[kept], class_ids, rles, geometry.source_size, context.labels, nonfinite_heads=bad
    )


def whole_pixel_boxes(boxes: npt.NDArray[np.float32], geometry: Geometry) -> npt.NDArray[np.float32]:
    """Return `boxes` (N, 4) xyxy in network pixels as whole pixels of the source, both edges of those they cover.

    The first and last pixel's centres of the picture in the input come to lie on those of the source, and edges go to
    the nearest pixel, halves to the even one (Matterport's `denorm_boxes`).
    """
    top, left, bottom, right = geometry.window
    height, width = geometry.source_size
    scale = np.array([(width - 1) / max(right - left - 1, 1), (height - 1) / max(bottom - top - 1, 1)] * 2)
    ends = np.array([0.0, 0.0, 1.0, 1.0])  # from the edge of the last pixel to its centre and back
    moved = (boxes.astype(np.float64) - ends - np.array([left, top] * 2)) * scale + ends
    return geometry.clipped(np.around(moved).astype(np.float32))


def check_class_ids(class_ids: npt.NDArray[np.int64], rule: PasteMasks, labels: int) -> None:
    """Raise BundleError unless all `class_ids`, positions in the labels, have one of so many labels."""
    if class_ids.size and (class_ids.min() < 0 or class_ids.max() >= labels):
        raise BundleError(
            f"the network gives class ids {int(class_ids.min())} to {int(class_ids.max())} after subtracting "
            f"first_class {rule.first_class}, but the bundle has {labels} labels; {_remedy(class_ids, labels)}"
        )


def _remedy(class_ids: npt.NDArray[np.int64], labels: int) -> str:
    """Return what to do about ids beyond the labels: all one too high, they count a background class."""
    if class_ids.min() >= 1 and class_ids.max() == labels:
        return "they seem to count a background class: adopt it with --first-class 1"
    return "adopt it with its own --labels"
