"""Rule `prototype_masks`: instances whose masks are sums of prototypes (YOLO, YOLACT)."""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.nonfinite import nonfinite_values
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult
from segrt.runtime.results.technique import Technique

AGNOSTIC = "agnostic"
"""What a manifest names in `required_features` where boxes of all classes compete: older readers don't know it."""


class PrototypeMasks(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="prototype_masks"
):
    """Instances whose masks are sums of prototypes (YOLO, YOLACT).

    Heads `prototypes` (1, K, h, w) and `predictions`, (1, R, A) or (1, A, R) with R values for each of A anchors.
    `rows` says what the values are, in network pixels: `yolo` has centre x, y, width, height, C class probabilities, K
    coefficients; `yolov5` has an objectness after the box, which multiplies the probabilities; `detections` has x0, y0,
    x1, y1, score, class id, K coefficients, duplicates suppressed already.
    A box that overlaps a better one of its class, or with `agnostic` of any, by more than `iou_threshold` is dropped;
    `detections` are not compared. Masks are enlarged, then cut at their boxes, as ultralytics 8.4 does; with `compat`
    the grid is cut before, as ultralytics up to 8.3 and YOLOv5 do, whose masks reach out of their boxes.
    """

    technique: ClassVar[Technique] = "instance"
    roles: ClassVar[tuple[str, ...]] = ("predictions", "prototypes")

    rows: Literal["yolo", "yolov5", "detections"] = "yolo"
    score_threshold: Share = 0.25
    iou_threshold: Share = 0.7
    max_detections: Annotated[int, msgspec.Meta(ge=1)] = 300
    compat: bool = False
    agnostic: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def across_classes(self) -> bool:
        """Whether a box is dropped for a better one of any class."""
        return self.agnostic is True

    @property
    def required_features(self) -> tuple[str, ...]:
        """What older readers would leave out in silence."""
        return (AGNOSTIC,) if self.across_classes else ()

    def length(self, classes: int, prototypes: int) -> int:
        """Return R for so many classes and prototypes."""
        return prototypes + (6 if self.rows == "detections" else classes + (5 if self.rows == "yolov5" else 4))

    def head_problems(self, heads: Mapping[str, HeadSpec], labels: int) -> Iterable[str]:
        """Yield where the predictions do not have a row of values for so many labels and prototypes."""
        predictions, prototypes = heads["predictions"], heads["prototypes"]
        count = prototypes.shape[1] if len(prototypes.shape) == 4 else None
        if not isinstance(count, int) or len(predictions.shape) != 3:
            yield f"head {prototypes.name!r} must have a fixed number of prototypes, but got {list(prototypes.shape)}"
            return
        length = self.length(labels, count)
        if length not in predictions.shape[1:]:
            yield (
                f"head {predictions.name!r} must have {length} values for an anchor ({self.rows}: {labels} labels, "
                f"{count} prototypes), but got {list(predictions.shape)}"
            )


def prototype_masks(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `predictions` (R, A) or (A, R) and `prototypes` (K, h, w); objects with an empty mask are left out."""
    rule = cast("PrototypeMasks", context.decode)
    prototypes = heads["prototypes"]
    table = heads["predictions"]
    length = rule.length(len(context.labels), len(prototypes))
    # Where both axes have this length, the anchors are counted along the second, as YOLOv8 and later do.
    table = table if table.shape[0] == length else table.T
    in_table, in_masks = postproc.Report(), postproc.Report()
    if rule.rows == "detections":
        in_table.nonfinite = nonfinite_values(table)
        detections = _detections(table, rule, len(context.labels))
    else:
        if rule.rows == "yolov5":
            in_table.nonfinite = nonfinite_values(table[4])
            table = _with_objectness(table, rule, len(context.labels))
        detections = postproc.decode_yolo(
            table,
            score_threshold=rule.score_threshold,
            iou_threshold=rule.iou_threshold,
            max_detections=rule.max_detections,
            coefficients=len(prototypes),
            agnostic=rule.across_classes,
            report=in_table,
        )
    boxes = geometry.boxes_to_source(detections.boxes)
    grid = (prototypes.shape[1], prototypes.shape[2])
    rles = postproc.prototype_masks_rle(
        prototypes,
        detections.coefficients,
        boxes,
        geometry.source_size,
        window=geometry.window_on(grid),
        processed_size=None if rule.compat else enlarged_first(geometry, grid),
        compat=rule.compat,
        threads=context.threads,
        report=in_masks,
    )
    areas, _ = postproc.measure_rle(rles)
    kept = np.flatnonzero(areas)
    return InstanceResult(
        boxes=geometry.clipped(boxes[kept]),
        scores=detections.scores[kept],
        class_ids=detections.class_ids[kept],
        rles=[rles[index] for index in kept],
        size=geometry.source_size,
        labels=context.labels,
        nonfinite_heads=(in_table.nonfinite > 0) + (in_masks.nonfinite > 0),
    )


def enlarged_first(geometry: Geometry, grid: tuple[int, int]) -> tuple[int, int] | None:
    """Return the size to which the grid (h, w) is brought before the picture's part is cut out; None for no padding.

    ultralytics 8.4, process_mask_native: one, two or four times the grid, the smallest on which padding has whole
    cells; else the network's own size.
    """
    top, left, bottom, right = geometry.window
    height, width = geometry.network_size
    if max(top, left, height - bottom, width - right) == 0:
        return None
    for factor in (1, 2, 4):
        enlarged = (grid[0] * factor, grid[1] * factor)
        if not any(edge % 1 for edge in geometry.window_on(enlarged)):
            return enlarged
    return geometry.network_size


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
    check_class_ids(class_ids, classes)
    chosen = table[:, kept].T.astype(np.float32)
    return postproc.YoloDetections(chosen[:, :4].copy(), scores[kept], class_ids, chosen[:, 6:].copy())


def check_class_ids(class_ids: npt.NDArray[np.int64], labels: int) -> None:
    """Raise BundleError unless all `class_ids` have one of so many labels."""
    if class_ids.size and not 0 <= int(class_ids.min()) <= int(class_ids.max()) < labels:
        raise BundleError(
            f"the network gives class ids {int(class_ids.min())} to {int(class_ids.max())}, but there are {labels} "
            "labels; adopt it with its own --labels"
        )
