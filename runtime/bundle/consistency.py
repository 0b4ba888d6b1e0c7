"""Contradictions inside a manifest that its types cannot express."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from segrt.runtime.bundle.manifest import MEMBERS, STATE, Manifest
from segrt.runtime.bundle.members import PAIR, class_problems, member_manifest
from segrt.runtime.bundle.names import name_problem
from segrt.runtime.bundle.prompt_members import prompt_problems
from segrt.runtime.decode.decoders import rules_of
from segrt.runtime.decode.head_spec import HeadSpec, form_problem, length_problems
from segrt.runtime.decode.merge_members import MergeMembers
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.input_spec import InputSpec, input_problems

# More of them than any network has; what follows each is bounded with them.
_MOST = {"inputs": 64, "heads": 1024, "labels": 65_535, "variants": 64, "golden frames": 1024, "members": 16}
_MOST_DIMENSIONS = 8
_MOST_TENSOR = 1 << 31  # bytes, as in protobuf
_LONGEST_PATH, _LONGEST_PART = 255, 128

_SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def check_manifest(manifest: Manifest, where: str) -> None:
    """Raise BundleError when `manifest` contradicts itself; `where` names the file."""
    unsafe = name_problem(manifest.name)
    for problem in [f"name {unsafe}"] if unsafe else _problems(manifest):
        raise BundleError(f"{where}: {problem}; write the bundle again with `segrt export` or `segrt adopt`")


def _problems(manifest: Manifest) -> Iterable[str]:
    yield from _budget_problems(manifest)
    if manifest.decode.technique != manifest.technique:
        names, got = ", ".join(rules_of(manifest.technique)), manifest.decode.rule_name
        yield f"decode rule of a {manifest.technique} bundle must be one of {names}, but got {got}"
        return
    if manifest.takes_prompts:
        yield from prompt_problems(manifest)
        for entries, what in _lists(manifest):
            yield from _twice(entries, what)
        yield from _file_problems(manifest)
        return
    if manifest.members or isinstance(manifest.decode, MergeMembers):
        yield from _member_problems(manifest)
        return
    missing = sorted(set(manifest.decode.required_features) - set(manifest.required_features))
    if missing:
        yield f"the decode rule's options must be named in required_features, but {missing[0]!r} is not"
    if not manifest.labels:
        yield "labels must not be empty"
    if not manifest.variants:
        yield "variants must not be empty"
    images = [spec for spec in manifest.inputs if spec.role == "image"]
    if len(images) != 1:
        yield f"inputs must have one of role image, but got {len(images)}"
    if any(variant.member_files for variant in manifest.variants):
        yield "variants must have member_files in a bundle of members and only there"
    if any(spec.role in ("embedding", "points", "point_labels") for spec in manifest.inputs):
        yield "inputs of prompts need the decode rule prompted_masks"
        return
    for entries, what in _lists(manifest):
        yield from _twice(entries, what)
    for spec in manifest.inputs:
        yield from input_problems(spec)
        for feature in sorted(set(spec.required_features) - set(manifest.required_features)):
            yield f"resize of input {spec.name!r} must be named in required_features, but {feature!r} is not"
    yield from _state_problems(manifest)
    yield from _head_problems(manifest)
    yield from _file_problems(manifest)


def _lists(manifest: Manifest) -> Iterable[tuple[list[str], str]]:
    """Yield what must differ among each other, and what they are called."""
    yield [spec.name for spec in manifest.inputs], "inputs"
    yield [spec.name for spec in manifest.heads], "heads"
    yield [spec.role for spec in manifest.heads], "roles of heads"
    yield [variant.precision for variant in manifest.variants], "variants"


def _budget_problems(manifest: Manifest) -> Iterable[str]:
    """What is too much of a good thing, named before anything is done for each."""
    lists: dict[str, Sequence[object]] = {
        "inputs": manifest.inputs,
        "heads": manifest.heads,
        "labels": manifest.labels,
        "variants": manifest.variants,
        "golden frames": manifest.golden,
        "members": manifest.members,
    }
    for what, entries in lists.items():
        if len(entries) > _MOST[what]:
            yield f"{what} must be at most {_MOST[what]}, but there are {len(entries)}"
            return
    specs: list[InputSpec | HeadSpec] = [*manifest.inputs, *manifest.heads]
    for spec in specs:
        lengths = [length for length in spec.shape if isinstance(length, int)]
        if len(spec.shape) > _MOST_DIMENSIONS:
            yield f"{spec.name!r} must have at most {_MOST_DIMENSIONS} dimensions, but got {len(spec.shape)}"
        elif math.prod(lengths) * np.dtype(spec.dtype).itemsize > _MOST_TENSOR:
            yield f"{spec.name!r} must have at most {_MOST_TENSOR} bytes, but got {spec.dtype} {list(spec.shape)}"


def _file_problems(manifest: Manifest) -> Iterable[str]:
    yield from _twice([file.path for file in manifest.files], "files")
    for file in manifest.files:
        parts = file.path.split("/")
        if len(file.path) > _LONGEST_PATH or max(map(len, parts)) > _LONGEST_PART:
            yield f"file {file.path[:_LONGEST_PART]!r}… must be a path of at most {_LONGEST_PATH} characters"
        elif not _SAFE_PATH.fullmatch(file.path):
            yield f"file {file.path!r} must be a plain path inside the bundle"


def _twice(entries: list[str], what: str) -> Iterable[str]:
    twice = sorted(name for name, count in Counter(entries).items() if count > 1)
    if twice:
        yield f"{what} must differ, but {twice[0]!r} is there twice"


def _member_problems(manifest: Manifest) -> Iterable[str]:
    """What contradicts itself in a bundle of two networks; each member is checked as a bundle of its own, too."""
    techniques = tuple(member.technique for member in manifest.members)
    if not isinstance(manifest.decode, MergeMembers) or techniques != PAIR:
        yield (
            f"a bundle of members must have a semantic and an instance one, in this order, and the decode rule "
            f"merge_members, but has {', '.join(techniques) or 'none'} and {manifest.decode.rule_name}"
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
    yield from class_problems(manifest)
    for member in manifest.members:
        for problem in _problems(member_manifest(manifest, member)):
            yield f"member {member.name!r}: {problem}"


def _state_problems(manifest: Manifest) -> Iterable[str]:
    shapes = {spec.name: spec.shape for spec in manifest.inputs}
    heads = {head.name: head for head in manifest.heads}
    if manifest.state and STATE not in manifest.required_features:
        yield f"a bundle whose network carries state must name {STATE!r} in required_features"
    rule = manifest.decode
    if manifest.state and not (isinstance(rule, QueryInstances) and rule.has_no_object_class):
        yield f"a network that carries state needs the rule query_instances with softmax, but has {rule.rule_name}"
        return
    if not manifest.state:
        return
    for queries in (spec for spec in manifest.heads if spec.role == "class_logits" and len(spec.shape) == 3):
        if not isinstance(queries.shape[1], int):
            count = repr(queries.shape[1])
            yield f"a network that carries state needs a fixed number of queries, but head {queries.name!r} has {count}"
    for name, carried in manifest.state.items():
        head = heads.get(carried)
        if head is None or head.shape != shapes[name] or not head.dtype.startswith("float"):
            got = "there is none" if head is None else f"it is {head.dtype} {list(head.shape)}"
            yield f"input {name!r} carries head {carried!r}, which must be of floats {list(shapes[name])}, but {got}"


def _head_problems(manifest: Manifest) -> Iterable[str]:
    heads = {head.role: head for head in manifest.heads}
    rule, labels = manifest.decode, len(manifest.labels)
    problem = rule.label_problem(labels) if labels else None
    if problem is not None:
        yield problem
    for role in rule.roles:
        if role not in heads:
            yield f"decode rule {rule.rule_name} needs a head of role {role}, but there is none"
            continue
        problem = form_problem(heads[role])
        if problem is not None:
            yield problem
            continue
        yield from length_problems(heads[role], labels, no_object=rule.has_no_object_class)
    if heads.keys() >= set(rule.roles):
        yield from rule.head_problems(heads, labels)
    names = {head.name for head in manifest.heads}
    for variant in manifest.variants:
        unknown = sorted((set(variant.head_dtypes) | set(variant.tolerance.heads)) - names)
        if unknown:
            yield f"variant {variant.precision} names a head {unknown[0]!r} that is not among the heads"
