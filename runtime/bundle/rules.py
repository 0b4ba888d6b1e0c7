"""The decode rules: how a bundle's heads become a result, with the thresholds that stay out of the graph.

A rule is one struct here, one decoder in `segrt.runtime.decode` and one entry in the decoder table. Every threshold can
be overridden when the bundle is opened, so a camera is tuned without a new export.
"""

from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
MergeRule = Literal["maskformer", "mask2former", "eomt", "detr"]


class Argmax(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="argmax"):
    """Semantic: head `semantic_logits` (1, C, h, w); bilinear logits, argmax over classes.

    `align_corners` is for networks whose logits are meant to be enlarged so that the centres of the corner cells meet
    those of the corner pixels (torch's `align_corners=True`).
    """

    align_corners: bool = False


class ClassMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="class_map"):
    """Semantic: head `class_map` (1, h, w) or (1, 1, h, w) of class ids, mapped to the source by nearest neighbour.

    `void_value` is the id that means "no class" in the graph's own output (often 255), if it has one.
    """

    void_value: int | None = None


class QuerySemantic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="query_semantic"):
    """Semantic from queries (MaskFormer): heads `class_logits` (1, Q, C+1), `mask_logits` (1, Q, h, w)."""


class QueryInstances(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="query_instances"):
    """Instances from queries: heads `class_logits` and `mask_logits` (1, Q, h, w).

    `class_logits` is (1, Q, C+1) with "no object" last for `softmax`, (1, Q, C) for `sigmoid`.
    """

    activation: Literal["softmax", "sigmoid"] = "softmax"
    top_k: Annotated[int, msgspec.Meta(ge=1)] = 100
    score_threshold: Share = 0.5


class PasteMasks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="paste_masks"):
    """Instances from boxes and box-sized masks (Mask R-CNN).

    Heads `boxes` (1, N, 4) xyxy in network pixels, `scores` (1, N), `class_ids` (1, N), `masks` (1, N, m, m) of
    probabilities; `first_class` is the id that the graph gives to label 0 (1 where it counts a background class).
    """

    score_threshold: Share = 0.5
    mask_threshold: Share = 0.5
    first_class: Annotated[int, msgspec.Meta(ge=0)] = 0


class PrototypeMasks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="prototype_masks"):
    """Instances whose masks are sums of prototypes (YOLO, YOLACT).

    Heads `prototypes` (1, K, h, w) and `predictions`, (1, R, A) or (1, A, R) with R values for each of A anchors.
    `rows` says what the values are, in network pixels: `yolo` has centre x, y, width, height, C class probabilities, K
    coefficients; `yolov5` has an objectness after the box, which multiplies the probabilities; `detections` has x0, y0,
    x1, y1, score, class id, K coefficients, duplicates suppressed already.
    A box that overlaps a better one of its class by more than `iou_threshold` is dropped.
    """

    rows: Literal["yolo", "yolov5", "detections"] = "yolo"
    score_threshold: Share = 0.25
    iou_threshold: Share = 0.7
    max_detections: Annotated[int, msgspec.Meta(ge=1)] = 300

    def length(self, classes: int, prototypes: int) -> int:
        """Return R for so many classes and prototypes."""
        return prototypes + (6 if self.rows == "detections" else classes + (5 if self.rows == "yolov5" else 4))


class MatrixNms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="matrix_nms"):
    """Instances from grid cells with a mask each (SOLOv2), in mmdetection's order of operations.

    Heads `scores` (1, K), `class_ids` (1, K) from 0, `least_areas` (1, K) and `mask_probabilities` (1, K, h, w), a cell
    being `stride` network pixels. Cells that score above `candidate_threshold` take part; a mask is where its
    probability is above `mask_threshold`, and goes unless it has more cells than its least area. Scores are multiplied
    by the mean probability in the mask; the `nms_pre` best are lowered by Matrix NMS; those of `filter_threshold` or
    more stay, at most `max_instances`. `score_threshold` is what a lowered score must reach beyond that to be shown.
    """

    candidate_threshold: Share = 0.1
    mask_threshold: Share = 0.5
    filter_threshold: Share = 0.05
    score_threshold: Share = 0.3
    nms_pre: Annotated[int, msgspec.Meta(ge=1)] = 500
    max_instances: Annotated[int, msgspec.Meta(ge=1)] = 100
    kernel: Literal["gaussian", "linear"] = "gaussian"
    sigma: Annotated[float, msgspec.Meta(gt=0.0)] = 2.0
    stride: Annotated[int, msgspec.Meta(ge=1)] = 4


class MergeQueries(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="merge_queries"):
    """Panoptic from queries: heads `class_logits` (1, Q, C+1), `mask_logits` (1, Q, h, w), merged by `merge_rule`."""

    merge_rule: MergeRule = "maskformer"
    score_threshold: Share = 0.5
    overlap_threshold: Share = 0.8


class GroupCenters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="group_centers"):
    """Panoptic from classes, object centres and offsets to them (Panoptic-DeepLab).

    Heads `semantic_logits` (1, C, h, w), `center_heatmap` (1, 1, h, w) and `offsets` (1, 2, h, w), y then x, in cells
    of the head's own grid. All are interpolated to the source first. A centre is a pixel whose heat is above
    `score_threshold` and the largest in a square of `nms_kernel` pixels; of more than `top_k`, the hottest count.
    Stuff of fewer than `stuff_area_limit` pixels is void. Both sizes are in source pixels.
    """

    score_threshold: Share = 0.1
    nms_kernel: Annotated[int, msgspec.Meta(ge=1)] = 7
    top_k: Annotated[int, msgspec.Meta(ge=1)] = 200
    stuff_area_limit: Annotated[int, msgspec.Meta(ge=0)] = 2048


class MergeMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="merge_members"):
    """Panoptic from a semantic and an instance network: the heuristic of Panoptic FPN, as detectron2 has it.

    Instances with a score of `score_threshold` or more take free pixels, best first, unless more than
    `overlap_threshold` of one is taken already; of what is left, the semantic network's stuff becomes segments of at
    least `stuff_area_limit` source pixels. Where it sees a thing and no instance is, there is nothing.
    """

    score_threshold: Share = 0.5
    overlap_threshold: Share = 0.5
    stuff_area_limit: Annotated[int, msgspec.Meta(ge=0)] = 4096


Decode = (
    Argmax
    | ClassMap
    | QuerySemantic
    | QueryInstances
    | PasteMasks
    | PrototypeMasks
    | MatrixNms
    | MergeQueries
    | GroupCenters
    | MergeMembers
)

TECHNIQUE_RULES: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "semantic": (Argmax, ClassMap, QuerySemantic),
    "instance": (QueryInstances, PasteMasks, PrototypeMasks, MatrixNms),
    "panoptic": (MergeQueries, GroupCenters, MergeMembers),
}
ROLES: dict[type[msgspec.Struct], tuple[str, ...]] = {
    Argmax: ("semantic_logits",),
    ClassMap: ("class_map",),
    QuerySemantic: ("class_logits", "mask_logits"),
    QueryInstances: ("class_logits", "mask_logits"),
    PasteMasks: ("boxes", "scores", "class_ids", "masks"),
    PrototypeMasks: ("predictions", "prototypes"),
    MatrixNms: ("scores", "class_ids", "least_areas", "mask_probabilities"),
    MergeQueries: ("class_logits", "mask_logits"),
    GroupCenters: ("semantic_logits", "center_heatmap", "offsets"),
    MergeMembers: (),  # those of the members, see `segrt.runtime.bundle.members`
}


def rule_name(decode: msgspec.Struct) -> str:
    """Return the name of one of the rules above as it stands in the manifest, `merge_queries` for instance."""
    return str(type(decode).__struct_config__.tag)
