"""The decode rule of a foreign network: chosen by its heads, with the user's thresholds, the rest guessed and noted."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.candidates import Candidate, UndecidedError
from segrt.export.adopt.guessing import Output, rows_of
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.class_map import ClassMap
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import SegrtError

_IOU_THRESHOLDS = {"yolo": 0.7, "yolov5": 0.45, "detections": 0.7}  # the defaults of their own prediction commands


def decode_rule(
    rule: str,
    outputs: Mapping[str, Output],
    labels: int,
    options: AdoptOptions,
    notes: list[str],
) -> DecodeRule:
    """Return the decode rule called `rule` as the user wants it, else as networks with such heads mostly do."""
    names = (
        "score_threshold",
        "overlap_threshold",
        "first_class",
        "mask_threshold",
    )  # the rule has those that are given
    given: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if rule == "argmax":
        return cast("Argmax", options.rules.get(rule, Argmax()))
    if rule == "binary":
        return Binary(scores=cast("Any", options.scores), **given)
    if rule == "query_semantic":
        return options.rules.get(rule, QuerySemantic())
    if rule == "class_map":
        return ClassMap(options.void_value)
    if rule == "paste_masks":
        where = options.masks or "box"
        notes.append(f"masks lie in {'the whole picture' if where == 'picture' else 'their boxes'}")
        return PasteMasks(masks_in=cast("Any", where), **given)
    if rule == "prototype_masks":
        return _prototype_rule(outputs, labels, options, given, notes)
    if rule == "group_centers":
        notes.append("offsets guessed: y then x, in cells of the head's grid")
        return GroupCenters(**given)
    if rule == "merge_queries":
        return MergeQueries(merge_rule=options.merge_rule or "maskformer", **given)
    activation = options.activation or "softmax"
    notes.append(f"class scores by {activation}")
    known = cast("QueryInstances", options.rules.get(rule, QueryInstances()))
    return msgspec.structs.replace(known, activation=cast("Any", activation), **given)


def _prototype_rule(
    outputs: Mapping[str, Output], labels: int, options: AdoptOptions, given: Mapping[str, Any], notes: list[str]
) -> PrototypeMasks:
    rows = options.rows or rows_of(outputs["predictions"], outputs["prototypes"], labels)
    if rows is None:
        raise SegrtError(
            f"output {outputs['predictions'].spec} has no row for each of {labels} classes; give its own --labels"
        )
    if options.rows is None and rows == "yolov5":
        _check_place(outputs["predictions"], labels)
    threshold = _IOU_THRESHOLDS[rows] if options.iou_threshold is None else options.iou_threshold
    notes.append(f"a row of predictions is that of {rows}; duplicates go at an IoU of {threshold:g}")
    known = cast("PrototypeMasks", options.rules.get("prototype_masks", PrototypeMasks()))
    if rows == "detections":
        known = PrototypeMasks()  # how boxes compete is in the graph
    elif known.across_classes:
        notes.append("boxes of all classes compete, as in YOLOE's own `predict`")
    return msgspec.structs.replace(known, rows=cast("Any", rows), iou_threshold=threshold, **given)


def _check_place(table: Output, labels: int) -> None:
    """Raise UndecidedError for rows as long as YOLOv5's that lie as YOLOv8's do, with the anchors last.

    A network of one class more is the likelier reading: its first class would be taken for the objectness.
    """
    values, anchors = table.spec.lengths[-2:]
    if values < anchors:
        raise UndecidedError(
            f"output {table.spec} lies as YOLOv8's predictions of {labels + 1} classes do, but there are {labels} "
            "labels, with which it is as long as YOLOv5's; give its own with --labels, or for a turned YOLOv5",
            [Candidate("--rows yolov5", {"rows": "yolov5"})],
        )
