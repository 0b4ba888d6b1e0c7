"""A bundle of two networks, each seen as the bundle that it would be alone.

The manifest of such a bundle has the inputs, heads and files of both; the member's name and a dot stand before the
names of inputs and heads and before the heads' roles.
"""

from collections.abc import Iterable

import msgspec

from segrt.runtime.bundle.manifest import Manifest, Member, Tolerance, Variant
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.inference.tensors import prefixed
from segrt.runtime.preprocess.input_spec import RESIZING, InputSpec

PAIR = ("semantic", "instance")


def member_manifest(manifest: Manifest, member: Member) -> Manifest:
    """Return the manifest that `member` would have as a bundle of its own, without golden frames."""
    start = prefixed(member.name, "")

    def own_name(name: str) -> str | None:
        return name.removeprefix(start) if name.startswith(start) else None

    inputs: list[InputSpec] = []
    for spec in manifest.inputs:
        name = own_name(spec.name)
        if name is not None:
            inputs.append(msgspec.structs.replace(spec, name=name))
    heads: list[HeadSpec] = []
    for head in manifest.heads:
        name = own_name(head.name)
        if name is not None:
            heads.append(msgspec.structs.replace(head, name=name, role=head.role.removeprefix(start)))
    resizing = (RESIZING,) if RESIZING in manifest.required_features else ()
    return Manifest(
        format=manifest.format,
        required_features=member.decode.required_features + resizing,
        name=prefixed(manifest.name, member.name),
        technique=member.technique,
        family=member.family,
        source=member.source,
        inputs=tuple(inputs),
        heads=tuple(heads),
        labels=member.labels,
        decode=member.decode,
        variants=tuple(member_variant(variant, member) for variant in manifest.variants),
    )


def member_variant(variant: Variant, member: Member) -> Variant:
    """Return what `member` executes in the bundle's `variant`."""
    start = prefixed(member.name, "")
    tolerances = {
        name.removeprefix(start): value for name, value in variant.tolerance.heads.items() if name.startswith(start)
    }
    dtypes = {name.removeprefix(start): value for name, value in variant.head_dtypes.items() if name.startswith(start)}
    return Variant(
        precision=variant.precision,
        file=variant.member_files[member.name],
        tolerance=Tolerance(variant.tolerance.agreement, tolerances),
        head_dtypes=dtypes,
    )


def class_problems(manifest: Manifest) -> Iterable[str]:
    """Yield which members have classes that are none of the bundle's, or too few or many of them."""
    for member in manifest.members:
        if len(member.classes) != len(member.labels) or max(member.classes, default=-1) >= len(manifest.labels):
            yield f"member {member.name!r} must have a class of the bundle, or -1, for each of its labels"
