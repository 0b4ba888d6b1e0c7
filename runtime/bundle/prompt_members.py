"""Contradictions inside the manifest of a bundle that takes prompts: an encoder of pictures, a decoder of prompts."""

from collections.abc import Iterable

from segrt.runtime.bundle.manifest import MEMBERS, Manifest
from segrt.runtime.bundle.members import class_problems
from segrt.runtime.decode.head_spec import form_problem
from segrt.runtime.decode.prompted_masks import PROMPTS
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.tensors import prefixed
from segrt.runtime.preprocess.input_spec import input_problems
from segrt.runtime.preprocess.prompts import LEAST_TOKENS

ENCODER, DECODER = "encoder", "decoder"
_DECODED = ("embedding", "points", "point_labels")
_MASKS = 4


def refuse_prompts(manifest: Manifest, where: str, command: str) -> None:
    """Raise BundleError for a bundle that takes prompts, whose name is `where`, in a command that has none to give."""
    if manifest.takes_prompts:
        raise BundleError(
            f"{where}: segments what prompts point at, and `segrt {command}` has none to give; use "
            f"`segrt run {where} PICTURE --prompt box:LEFT,TOP,RIGHT,BOTTOM`"
        )


def prompt_problems(manifest: Manifest) -> Iterable[str]:
    """Yield what makes `manifest`, whose rule is prompted_masks, no bundle that takes prompts."""
    names = [member.name for member in manifest.members]
    if names != [ENCODER, DECODER]:
        yield f"a bundle that takes prompts must have members {ENCODER} and {DECODER}, but has {names}"
        return
    for feature in (MEMBERS, PROMPTS):
        if feature not in manifest.required_features:
            yield f"a bundle that takes prompts must name {feature!r} in required_features"
    if not manifest.variants:
        yield "variants must not be empty"
    for variant in manifest.variants:
        if sorted(variant.member_files) != sorted(names) or variant.file != variant.member_files.get(ENCODER):
            yield f"variant {variant.precision} must have a network of {ENCODER}, its file, and one of {DECODER}"
            return
    if not manifest.labels:
        yield "labels must not be empty"
    yield from class_problems(manifest)
    yield from _input_problems(manifest)
    yield from _head_problems(manifest)


def _input_problems(manifest: Manifest) -> Iterable[str]:
    places = [(spec.name.partition(".")[0], spec.role) for spec in manifest.inputs]
    if places[:1] != [(ENCODER, "image")] or any(
        member != DECODER or role not in _DECODED for member, role in places[1:]
    ):
        roles = ", ".join(_DECODED)
        yield f"inputs must be the {ENCODER}'s image and the {DECODER}'s of roles {roles}, but got {places}"
        return
    for role in ("points", "point_labels"):
        if [role for _, other in places if other == role] != [role]:
            yield f"inputs must have one of role {role}"
            return
    for spec in manifest.inputs:
        yield from input_problems(spec)
    by_role = {spec.role: spec for spec in manifest.inputs}
    if by_role["points"].shape[1:2] != by_role["point_labels"].shape[1:2]:
        yield "inputs of roles points and point_labels must be of equally many points"
    tokens = by_role["point_labels"].shape[-1]
    if isinstance(tokens, int) and tokens < LEAST_TOKENS:
        yield (
            f"inputs of roles points and point_labels must be of at least {LEAST_TOKENS} points, two for a box and one "
            f"at the end, but got {tokens}"
        )
    if by_role["image"].shape[0] != 1:
        yield f"input {by_role['image'].name!r} must have a first dimension of 1 in a bundle that takes prompts"


def _head_problems(manifest: Manifest) -> Iterable[str]:
    heads = {head.name: head for head in manifest.heads}
    shapes = {spec.name: spec.shape for spec in manifest.inputs}
    for name, carried in manifest.embeddings.items():
        head = heads.get(carried)
        if not carried.startswith(prefixed(ENCODER, "")) or head is None or head.shape != shapes[name]:
            got = "there is none" if head is None else f"it is {head.dtype} {list(head.shape)}"
            yield (
                f"input {name!r} takes head {carried!r}, which must be the {ENCODER}'s, float32 {list(shapes[name])}, "
                f"but {got}"
            )
        elif head.dtype != "float32":
            yield f"head {carried!r} must be float32 for input {name!r}, but is {head.dtype}"
    roles = {head.role: head for head in manifest.heads}
    for role in manifest.decode.roles:
        if role not in roles:
            yield f"decode rule {manifest.decode.rule_name} needs a head of role {role}, but there is none"
            continue
        problem = form_problem(roles[role])
        if problem is not None:
            yield problem
        elif roles[role].shape[1] != _MASKS:
            yield f"head {roles[role].name!r} must be of {_MASKS} masks, but got {list(roles[role].shape)}"
    names = {head.name for head in manifest.heads}
    for variant in manifest.variants:
        unknown = sorted((set(variant.head_dtypes) | set(variant.tolerance.heads)) - names)
        if unknown:
            yield f"variant {variant.precision} names a head {unknown[0]!r} that is not among the heads"
        if variant.head_dtypes:
            yield f"variant {variant.precision} must have the heads' own dtypes in a bundle that takes prompts"
