"""Contradictions inside a manifest that its types cannot express."""

import re
from collections.abc import Iterable

from segrt.runtime.bundle.manifest import MEMBERS, HeadSpec, InputSpec, Manifest
from segrt.runtime.bundle.members import PAIR, member_manifest
from segrt.runtime.bundle.names import name_problem
from segrt.runtime.bundle.rules import (
    ROLES,
    TECHNIQUE_RULES,
    GroupCenters,
    MergeMembers,
    PrototypeMasks,
    QueryInstances,
    rule_name,
)
from segrt.runtime.errors import BundleError

_CHANNELS = {"center_heatmap": 1, "offsets": 2}
_SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_FLOATS = ("float16", "float32")
# role: (number of dimensions, dtypes)
HEAD_FORMS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "semantic_logits": ((4,), _FLOATS),
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
}


def check_manifest(manifest: Manifest, where: str) -> None:
    """Raise BundleError when `manifest` contradicts itself; `where` names the file."""
    unsafe = name_problem(manifest.name)
    for problem in [f"name {unsafe}"] if unsafe else _problems(manifest):
        raise BundleError(f"{where}: {problem}; write the bundle again with `segrt export` or `segrt adopt`")


def _problems(manifest: Manifest) -> Iterable[str]:
    rules = TECHNIQUE_RULES[manifest.technique]
    if not isinstance(manifest.decode, rules):
        names = ", ".join(str(rule.__struct_config__.tag) for rule in rules)
        got = rule_name(manifest.decode)
        yield f"decode rule of a {manifest.technique} bundle must be one of {names}, but got {got}"
        return
    if manifest.members or isinstance(manifest.decode, MergeMembers):
        yield from _member_problems(manifest)
        return
    if not manifest.labels:
        yield "labels must not be empty"
    if not manifest.variants:
        yield "variants must not be empty"
    images = [spec for spec in manifest.inputs if spec.role == "image"]
    if len(images) != 1:
        yield f"inputs must have one of role image, but got {len(images)}"
    if any(variant.member_files for variant in manifest.variants):
        yield "variants must have member_files in a bundle of members and only there"
    for entries, what in (
        ([spec.name for spec in manifest.inputs], "inputs"),
        ([spec.name for spec in manifest.heads], "heads"),
        ([spec.role for spec in manifest.heads], "roles of heads"),
        ([variant.precision for variant in manifest.variants], "variants"),
    ):
        yield from _twice(entries, what)
    for spec in manifest.inputs:
        yield from _input_problems(spec)
    yield from _head_problems(manifest)
    yield from _file_problems(manifest)


def _file_problems(manifest: Manifest) -> Iterable[str]:
    yield from _twice([file.path for file in manifest.files], "files")
    for file in manifest.files:
        if not _SAFE_PATH.fullmatch(file.path):
            yield f"file {file.path!r} must be a plain path inside the bundle"


def _twice(entries: list[str], what: str) -> Iterable[str]:
    twice = sorted({name for name in entries if entries.count(name) > 1})
    if twice:
        yield f"{what} must differ, but {twice[0]!r} is there twice"


def _member_problems(manifest: Manifest) -> Iterable[str]:
    """What contradicts itself in a bundle of two networks; each member is checked as a bundle of its own, too."""
    techniques = tuple(member.technique for member in manifest.members)
    if not isinstance(manifest.decode, MergeMembers) or techniques != PAIR:
        yield (
            f"a bundle of members must have a semantic and an instance one, in this order, and the decode rule "
            f"merge_members, but has {', '.join(techniques) or 'none'} and {rule_name(manifest.decode)}"
        )
        return
    if MEMBERS not in manifest.required_features:
        yield f"a bundle of members must name {MEMBERS!r} in required_features"
    names = [member.name for member in manifest.members]
    if len(set(names)) != len(names):
        yield f"members must differ in name, but both are {names[0]!r}"
        return
    if not manifest.variants:
        yield "variants must not be empty"
    for variant in manifest.variants:
        if sorted(variant.member_files) != sorted(names) or variant.file != variant.member_files.get(names[0]):
            yield f"variant {variant.precision} must have a network of {names[0]}, its file, and one of {names[1]}"
            return
    yield from _file_problems(manifest)
    for name in [*(spec.name for spec in manifest.inputs), *(head.name for head in manifest.heads)]:
        if name.partition(".")[0] not in names:
            yield f"{name!r} belongs to no member, its name must begin with one of {', '.join(names)} and a dot"
    for member in manifest.members:
        if len(member.classes) != len(member.labels) or max(member.classes, default=-1) >= len(manifest.labels):
            yield f"member {member.name!r} must have a class of the bundle, or -1, for each of its labels"
        for problem in _problems(member_manifest(manifest, member)):
            yield f"member {member.name!r}: {problem}"


def _input_problems(spec: InputSpec) -> Iterable[str]:
    dims = 3 if spec.role == "valid_mask" else 4
    if len(spec.shape) != dims:
        yield f"input {spec.name!r} must have {dims} dimensions, but got shape {list(spec.shape)}"
        return
    if spec.shape[0] != "N" and spec.shape[0] != 1:
        yield f'input {spec.name!r} must have a first dimension of 1 or "N", but got {spec.shape[0]!r}'
    if any(not isinstance(dim, int) or dim < 1 for dim in spec.shape[1:]):
        yield f"input {spec.name!r} must have a fixed size, but got shape {list(spec.shape)}"
    if spec.role == "valid_mask":
        return
    channels = spec.shape[3] if spec.layout == "NHWC" else spec.shape[1]
    if channels != 3:
        yield f"input {spec.name!r} must have 3 channels in layout {spec.layout}, but got shape {list(spec.shape)}"
    if spec.dtype not in ("uint8", *_FLOATS):
        yield f"input {spec.name!r} must be uint8, float16 or float32, but got {spec.dtype}"
    plain = (spec.scale, spec.mean, spec.std) == (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if spec.dtype == "uint8" and not plain:
        yield f"input {spec.name!r} is uint8, so its scale, mean and std must be left at 1, 0 and 1"
    if 0.0 in spec.std:
        yield f"std of input {spec.name!r} must not be 0, but got {list(spec.std)}"
    if any(not 0 <= value <= 255 for value in spec.resize.pad):
        yield f"resize.pad of input {spec.name!r} must be 0 to 255, but got {list(spec.resize.pad)}"
    if (spec.resize.rule == "shortest_edge") != (spec.resize.shortest_edge is not None):
        yield f"resize.shortest_edge of input {spec.name!r} must be given with the rule shortest_edge and only then"
    if spec.resize.antialias and spec.resize.interpolation not in ("linear", "cubic"):
        yield f"resize.antialias of input {spec.name!r} needs interpolation linear or cubic"


def _head_problems(manifest: Manifest) -> Iterable[str]:
    roles = {head.role: head for head in manifest.heads}
    for role in ROLES[type(manifest.decode)]:
        if role not in roles:
            yield f"decode rule {rule_name(manifest.decode)} needs a head of role {role}, but there is none"
            continue
        dims, dtypes = HEAD_FORMS[role]
        head = roles[role]
        if len(head.shape) not in dims or head.dtype not in dtypes:
            forms = " or ".join(str(count) for count in dims)
            yield (
                f"head {head.name!r} of role {role} must have {forms} dimensions and dtype {' or '.join(dtypes)}, "
                f"but got {head.dtype} {list(head.shape)}"
            )
            continue
        yield from _class_problems(manifest, head)
        if role in _CHANNELS and head.shape[1] != _CHANNELS[role]:
            yield f"head {head.name!r} of role {role} must have {_CHANNELS[role]} channels, but got {list(head.shape)}"
    if isinstance(manifest.decode, PrototypeMasks) and {"predictions", "prototypes"} <= roles.keys():
        yield from _prediction_problems(
            manifest.decode, roles["predictions"], roles["prototypes"], len(manifest.labels)
        )
    if isinstance(manifest.decode, GroupCenters) and manifest.decode.nms_kernel % 2 == 0:
        yield f"decode.nms_kernel must be odd, but got {manifest.decode.nms_kernel}"
    names = {head.name for head in manifest.heads}
    for variant in manifest.variants:
        unknown = sorted((set(variant.head_dtypes) | set(variant.tolerance.heads)) - names)
        if unknown:
            yield f"variant {variant.precision} names a head {unknown[0]!r} that is not among the heads"


def _prediction_problems(rule: PrototypeMasks, head: HeadSpec, prototypes: HeadSpec, labels: int) -> Iterable[str]:
    count = prototypes.shape[1] if len(prototypes.shape) == 4 else None
    if not isinstance(count, int) or len(head.shape) != 3:
        yield f"head {prototypes.name!r} must have a fixed number of prototypes, but got {list(prototypes.shape)}"
        return
    length = rule.length(labels, count)
    if length not in head.shape[1:]:
        yield (
            f"head {head.name!r} must have {length} values for an anchor ({rule.rows}: {labels} labels, {count} "
            f"prototypes), but got {list(head.shape)}"
        )


def _class_problems(manifest: Manifest, head: HeadSpec) -> Iterable[str]:
    count = len(manifest.labels)
    if head.role == "semantic_logits" and head.shape[1] != count:
        yield f"head {head.name!r} has {head.shape[1]} classes, but there are {count} labels"
    if head.role == "class_logits":
        sigmoid = isinstance(manifest.decode, QueryInstances) and manifest.decode.activation == "sigmoid"
        if head.shape[2] != (count if sigmoid else count + 1):
            extra = "" if sigmoid else " + 1 for no object"
            yield f"head {head.name!r} has {head.shape[2]} classes, but there are {count} labels{extra}"
