"""Guesses what a foreign network's inputs and outputs are, from their names, dtypes and shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segrt.runtime.decode.head_spec import HEAD_FORMS
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.results.technique import Technique

_FLOATS = ("float16", "float32")
_INTEGERS = ("uint8", "int8", "int32", "int64")
BOX_ROLES = ("boxes", "scores", "class_ids", "masks")
CENTER_ROLES = ("semantic_logits", "center_heatmap", "offsets")
_QUERY_ROLES = ("class_logits", "mask_logits")
_ROLES = ("class_map", *_QUERY_ROLES, *BOX_ROLES, "predictions", "prototypes", *CENTER_ROLES, "object_scores")
ROWS = ("yolo", "yolov5", "detections")
_FEW = 1000  # detections that a network suppressed itself; anchors are thousands
# role: parts of names by which exporters call such a head
_NAMES = {
    "class_logits": ("class", "logits", "cls", "score"),
    "mask_logits": ("mask", "seg"),
    "boxes": ("box",),
    "scores": ("score", "conf"),
    "class_ids": ("label", "class", "cls"),
    "masks": ("mask",),
}


@dataclass(frozen=True)
class Output:
    """An output as a run gave it: spec with real lengths, whether the first axis is the batch, declared shape."""

    spec: TensorSpec
    has_batch: bool
    declared: tuple[int | str, ...]

    @property
    def rank(self) -> int:
        """The number of axes with the batch."""
        return len(self.lengths)

    @property
    def lengths(self) -> tuple[int | str, ...]:
        """The lengths of all axes, with the batch."""
        return self.spec.shape if self.has_batch else (1, *self.spec.shape)


def guess_heads(
    outputs: Sequence[Output], technique: Technique, labels: int, given: Mapping[str, str]
) -> tuple[str, dict[str, Output]]:
    """Return the decode rule's name and the outputs by role; `given` maps roles to names that the user stated.

    Raises SegrtError that lists the outputs when they are not to be told apart, or names a stated one that does not
    fit its role.
    """
    stated = _stated(outputs, given)
    rule, heads = _guess(outputs, technique, labels, stated)
    for role, name in given.items():
        if role not in heads:
            raise SegrtError(f"--head {role}={name}: the rule {rule} takes {', '.join(heads)} alone; leave it out")
    return rule, heads


def _stated(outputs: Sequence[Output], given: Mapping[str, str]) -> dict[str, Output]:
    """Return the outputs that the user named, by role; raise SegrtError for one that cannot play it."""
    by_name = {output.spec.name: output for output in outputs}
    for role, name in given.items():
        where = f"--head {role}={name}"
        if role not in _ROLES:
            raise SegrtError(f"{where}: there is no role {role!r}; choose from {', '.join(_ROLES)}")
        if name not in by_name:
            raise SegrtError(f"{where}: there is no such output; there are {_listed(outputs)}")
        ranks, dtypes = HEAD_FORMS[role]
        output = by_name[name]
        dtypes = (*dtypes, "bool") if role == "object_scores" else dtypes
        if output.rank not in ranks or output.spec.dtype not in dtypes:
            raise SegrtError(
                f"{where}: must have {' or '.join(map(str, ranks))} dimensions and dtype {' or '.join(dtypes)}, "
                f"but got {output.spec.dtype} {list(output.spec.shape)}; name another output, or for this one "
                f"{' or '.join(_fitting_roles(output)) or 'none of the roles'}"
            )
    return {role: by_name[name] for role, name in given.items()}


def _fitting_roles(output: Output) -> list[str]:
    """Return the roles that an output can play by its rank and dtype."""
    forms = ((role, *HEAD_FORMS[role]) for role in _ROLES)
    return [role for role, ranks, dtypes in forms if output.rank in ranks and output.spec.dtype in dtypes]


def _guess(
    outputs: Sequence[Output], technique: Technique, labels: int, stated: dict[str, Output]
) -> tuple[str, dict[str, Output]]:
    if technique != "semantic" and not any(_may_hold_masks(output) for output in outputs):
        raise SegrtError(
            f"the outputs {_listed(outputs)} hold no masks: a network that finds boxes alone, or a classifier, does no "
            f"{technique} segmentation; export its sibling that has masks (-seg, Mask R-CNN)"
        )
    names = {output.spec.name for output in stated.values()}
    free = [output for output in outputs if output.spec.name not in names]
    if technique == "semantic" and not _is_query_network(stated) and not _has_queries(free):
        return _semantic(free, stated, outputs)
    if technique == "instance" and not _is_query_network(stated) and "boxes" not in stated:
        heads = _prototype_heads(free, stated, labels)
        if heads is not None:
            return "prototype_masks", heads
    if technique == "panoptic" and not _is_query_network(stated):
        heads = _center_heads(free, stated, labels)
        if heads is not None:
            return "group_centers", heads
    if technique == "instance" and not stated:
        _refuse_other_classes(free, labels)
    if technique == "instance" and ("boxes" in stated or _boxes(free, stated)) and not _is_query_network(stated):
        return "paste_masks", _box_heads(free, stated, outputs)
    rules = {"semantic": "query_semantic", "instance": "query_instances", "panoptic": "merge_queries"}
    return rules[technique], _query_heads(free, stated, outputs, labels)


def _semantic(
    free: Sequence[Output], stated: dict[str, Output], outputs: Sequence[Output]
) -> tuple[str, dict[str, Output]]:
    if "class_map" in stated:
        return "class_map", {"class_map": stated["class_map"]}
    if "semantic_logits" in stated:
        return "argmax", {"semantic_logits": stated["semantic_logits"]}
    if "object_scores" in stated:
        return "binary", {"object_scores": stated["object_scores"]}
    maps = [out for out in free if out.spec.dtype in (*_INTEGERS, "bool") and out.rank in (3, 4)]
    if len(maps) == 1:
        return "class_map", {"class_map": maps[0]}
    logits = [out for out in free if out.spec.dtype in _FLOATS and out.rank == 4]
    # One channel; (1, 4), which has no batch axis, is no map but four numbers.
    logits = logits or [out for out in free if out.spec.dtype in _FLOATS and out.rank == 3 and out.spec.shape != (1, 4)]
    # Auxiliary heads come second in torchvision's and smp's exports; the first one is the result.
    if not maps and logits:
        return "argmax", {"semantic_logits": logits[0]}
    raise SegrtError(_unclear("semantic", ("class_map", "semantic_logits", "object_scores"), outputs))


def _query_heads(
    free: Sequence[Output], stated: dict[str, Output], outputs: Sequence[Output], labels: int
) -> dict[str, Output]:
    heads = dict(stated)
    if "mask_logits" not in heads:
        masks = _named([out for out in free if out.spec.dtype in _FLOATS and out.rank == 4], "mask_logits")
        if len(masks) == 1:
            heads["mask_logits"] = masks[0]
    if "class_logits" not in heads and "mask_logits" in heads:
        queries = heads["mask_logits"].lengths[1]
        rows = [out for out in free if out.spec.dtype in _FLOATS and out.rank == 3 and out.lengths[1] == queries]
        # A DETR's boxes lie beside its logits, with four numbers for each query.
        rows = [out for out in rows if len(rows) == 1 or (out.lengths[2] != 4 and "box" not in out.spec.name.lower())]
        exact = [out for out in rows if out.lengths[2] in (labels, labels + 1)] or _named(rows, "class_logits")
        if len(exact) == 1:
            heads["class_logits"] = exact[0]
    for role in ("class_logits", "mask_logits"):
        if role not in heads:
            raise SegrtError(_unclear("query", ("class_logits", "mask_logits"), outputs))
    return {role: heads[role] for role in ("class_logits", "mask_logits")}


def _box_heads(free: Sequence[Output], stated: dict[str, Output], outputs: Sequence[Output]) -> dict[str, Output]:
    heads = dict(stated)
    candidates = {
        "boxes": _boxes(free, stated),
        "scores": [out for out in free if out.spec.dtype in _FLOATS and out.rank == 2],
        "class_ids": [out for out in free if out.spec.dtype in _INTEGERS and out.rank == 2],
        "masks": [out for out in free if out.spec.dtype in _FLOATS and out.rank in (4, 5)],
    }
    for role, outputs_for_role in candidates.items():
        outputs_for_role = _named(outputs_for_role, role)
        if role not in heads and len(outputs_for_role) == 1:
            heads[role] = outputs_for_role[0]
    if any(role not in heads for role in BOX_ROLES):
        raise SegrtError(_unclear("box", BOX_ROLES, outputs))
    return {role: heads[role] for role in BOX_ROLES}


def _prototype_heads(free: Sequence[Output], stated: dict[str, Output], labels: int) -> dict[str, Output] | None:
    """Return predictions and prototypes, of which one row belongs to each anchor; None where there are none such."""
    if {"predictions", "prototypes"} <= stated.keys():
        return {role: stated[role] for role in ("predictions", "prototypes")}
    grids = [stated["prototypes"]] if "prototypes" in stated else [out for out in free if _is_float(out, 4)]
    tables = [stated["predictions"]] if "predictions" in stated else [out for out in free if _is_float(out, 3)]
    pairs = [
        {"predictions": table, "prototypes": grid} for grid in grids for table in tables if rows_of(table, grid, labels)
    ]
    return pairs[0] if len(pairs) == 1 else None


def _refuse_other_classes(free: Sequence[Output], labels: int) -> None:
    """Raise SegrtError for predictions and prototypes of a YOLO with another number of classes than there are labels.

    They are known by thousands of anchors beside a grid of prototypes, on which rows of queries have no hold.
    """
    for grid in (out for out in free if _is_float(out, 4)):
        prototypes = grid.spec.shape[1]
        if not isinstance(prototypes, int):
            continue
        for table in (out for out in free if _is_float(out, 3)):
            anchors, length = max(table.spec.lengths[1:]), min(table.spec.lengths[1:])
            counts = [length - values - prototypes for values in (4, 5)]
            if anchors >= _FEW and counts[0] > 0 and table.spec.shape[1] != prototypes:
                raise SegrtError(
                    f"output {table.spec} looks like a YOLO's predictions of {counts[0]} classes (with an objectness: "
                    f"{counts[1]}), but there are {labels} labels; give its own with --labels"
                )


def rows_of(table: Output, grid: Output, labels: int) -> str | None:
    """Return what the rows of predictions are ("yolo", "yolov5", "detections") by their length; None for no fit."""
    prototypes = grid.spec.shape[1]
    if table.rank != 3 or grid.rank != 4 or not isinstance(prototypes, int):
        return None
    lengths = {"yolo": 4 + labels + prototypes, "yolov5": 5 + labels + prototypes, "detections": 6 + prototypes}
    axes = [int(length) for length in table.spec.lengths[-2:]]
    fitting = [rows for rows in ROWS if lengths[rows] in axes]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    # One or two classes make lengths that two kinds share. From YOLOv8 on anchors are counted along the last axis,
    # before it along the first, where detections stand too, but few.
    if axes[0] == lengths[fitting[0]]:
        return fitting[0]
    return "detections" if "detections" in fitting and axes[0] < _FEW else fitting[0]


def _center_heads(free: Sequence[Output], stated: dict[str, Output], labels: int) -> dict[str, Output] | None:
    """Return Panoptic-DeepLab's heads: logits, one channel of heat, two of offsets, on one grid; None for others."""
    heads = dict(stated)
    maps = [out for out in free if _is_float(out, 4)]
    for role, channels in zip(CENTER_ROLES, (labels, 1, 2), strict=True):
        fitting = [out for out in maps if out.spec.shape[1] == channels]
        if role not in heads and len(fitting) == 1:
            heads[role] = fitting[0]
    if any(role not in heads for role in CENTER_ROLES):
        return None
    return {role: heads[role] for role in CENTER_ROLES}


def _may_hold_masks(out: Output) -> bool:
    """Whether an output is a map, or several; rows of numbers for each anchor or query are none."""
    return out.rank > 3 or (out.rank == 3 and out.spec.dtype not in _FLOATS)


def _is_float(out: Output, rank: int) -> bool:
    return out.has_batch and out.spec.dtype in _FLOATS and out.rank == rank


def _boxes(outputs: Sequence[Output], stated: Mapping[str, Output]) -> list[Output]:
    """Return the outputs that may be boxes: four numbers each, in a network that also gives a score for each."""
    if "scores" not in stated and not any(out.spec.dtype in _FLOATS and out.rank == 2 for out in outputs):
        return []
    return [out for out in outputs if out.spec.dtype in _FLOATS and out.rank == 3 and out.spec.shape[-1] == 4]


def _has_queries(outputs: Sequence[Output]) -> bool:
    """Whether there is one row of logits for each of an output's masks."""
    rows = {out.spec.shape[1] for out in outputs if out.spec.dtype in _FLOATS and out.rank == 3 and out.has_batch}
    return any(out.spec.dtype in _FLOATS and out.rank == 4 and out.spec.shape[1] in rows for out in outputs)


def _is_query_network(stated: Mapping[str, Output]) -> bool:
    return "class_logits" in stated or "mask_logits" in stated


def _named(outputs: list[Output], role: str) -> list[Output]:
    """Return those of `outputs` whose name speaks of `role`, or all when there is no choice to make."""
    if len(outputs) < 2:
        return outputs
    speaking = [out for out in outputs if any(part in out.spec.name.lower() for part in _NAMES[role])]
    return speaking or outputs


def _unclear(kind: str, roles: Sequence[str], outputs: Sequence[Output]) -> str:
    return (
        f"the heads of a {kind} network are not to be told from the outputs {_listed(outputs)}; "
        f"name them with --head ROLE=NAME, ROLE one of {', '.join(roles)}"
    )


def _listed(outputs: Sequence[Output]) -> str:
    return ", ".join(str(output.spec) for output in outputs)
