"""The heads that decode rules read: what each role must look like."""

from collections.abc import Iterable

import msgspec

from segrt.runtime.inference.tensors import Dim, DType, Name

_FLOATS = ("float16", "float32")
_CHANNELS = {"center_heatmap": 1, "offsets": 2, "object_scores": 1}
# role: (number of dimensions, dtypes)
HEAD_FORMS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "semantic_logits": ((4,), _FLOATS),
    "object_scores": ((3, 4), ("uint8", *_FLOATS)),
    "class_map": ((3, 4), ("uint8", "int8", "int32", "int64")),
    "class_logits": ((3,), _FLOATS),
    "mask_logits": ((4,), _FLOATS),
    "predictions": ((3,), _FLOATS),
    "prototypes": ((4,), _FLOATS),
    "center_heatmap": ((4,), _FLOATS),
    "offsets": ((4,), _FLOATS),
    "boxes": ((3,), _FLOATS),
    "scores": ((2,), _FLOATS),
    "class_ids": ((2,), ("uint8", "int32", "int64", *_FLOATS)),
    "masks": ((4, 5), _FLOATS),
    "least_areas": ((2,), _FLOATS),
    "mask_probabilities": ((4,), _FLOATS),
    "decoder.mask_logits": ((4,), _FLOATS),
    "decoder.iou_scores": ((2,), _FLOATS),
}


class HeadSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One raw output of the network and the role that it plays in the decode rule."""

    name: Name
    role: Name
    dtype: DType
    shape: tuple[Dim, ...]


def form_problem(head: HeadSpec) -> str | None:
    """Return why `head` cannot play its role, by rank and dtype, or None."""
    dims, dtypes = HEAD_FORMS[head.role]
    if len(head.shape) in dims and head.dtype in dtypes:
        return None
    ranks = " or ".join(str(count) for count in dims)
    return (
        f"head {head.name!r} of role {head.role} must have {ranks} dimensions and dtype {' or '.join(dtypes)}, "
        f"but got {head.dtype} {list(head.shape)}"
    )


def length_problems(head: HeadSpec, labels: int, *, no_object: bool) -> Iterable[str]:
    """Yield where the lengths of `head` do not fit so many labels; `no_object`: class logits have one class more."""
    if head.role == "semantic_logits" and head.shape[1] != labels:
        yield f"head {head.name!r} has {head.shape[1]} classes, but there are {labels} labels"
    if head.role == "class_logits" and head.shape[2] != labels + no_object:
        extra = " + 1 for no object" if no_object else ""
        yield f"head {head.name!r} has {head.shape[2]} classes, but there are {labels} labels{extra}"
    if len(head.shape) == 4 and head.role in _CHANNELS and head.shape[1] != _CHANNELS[head.role]:
        count = _CHANNELS[head.role]
        yield f"head {head.name!r} of role {head.role} must have {count} channels, but got {list(head.shape)}"
