"""Joins a semantic and an instance bundle into one panoptic bundle that names both as members.

Nothing is trained or exported: the files are copied, and the results merged by the heuristic of Panoptic FPN.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from segrt.runtime.authoring.golden_frames import add_golden
from segrt.runtime.authoring.verification import refuse_failed, verify, verify_or_refuse
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import QUERY_ROLES, GoldenOutputs, read_golden
from segrt.runtime.bundle.manifest import (
    MEMBERS,
    File,
    Golden,
    HeadTolerance,
    Manifest,
    Member,
    Source,
    Tolerance,
    Variant,
)
from segrt.runtime.bundle.members import PAIR, member_manifest
from segrt.runtime.bundle.names import new_name
from segrt.runtime.bundle.prompt_members import refuse_prompts
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.merge_members import MergeMembers
from segrt.runtime.decode.rule import Context, MemberRule
from segrt.runtime.errors import BundleError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Array, DType, prefixed
from segrt.runtime.preprocess.channels import wanted
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.member_inputs import fill_members
from segrt.runtime.results import Label
from segrt.runtime.segmenter import open_segmenter

_MOST_FRAMES = 4


@dataclass(frozen=True)
class PairOptions:
    """How the two are joined; `name` None means the folder's."""

    name: str | None = None
    rule: MergeMembers = field(default_factory=MergeMembers)
    overwrite: bool = False
    threads: int = 0


def pair_bundles(semantic: Bundle, instance: Bundle, out: Path, options: PairOptions) -> list[str]:
    """Write the panoptic bundle `out`; return lines on what became of the classes.

    Its stuff are the semantic bundle's stuff classes, its things the instance bundle's classes, united by name: a stuff
    class that is a thing's namesake is seen by the instance network alone. What the semantic network calls a thing is
    nothing where no instance is, as in Panoptic FPN. Raises BundleError, or CheckFailed when a member's golden frames
    differ on this device.
    """
    name = new_name(options.name, out)
    for bundle, technique in zip((semantic, instance), PAIR, strict=True):
        refuse_prompts(bundle.manifest, str(bundle.folder), "pair")
        if bundle.manifest.technique != technique:
            raise BundleError(
                f"{bundle.folder}: is {bundle.manifest.technique}, but a pair needs a semantic and an instance bundle, "
                "in this order"
            )
        if not bundle.manifest.image_input.takes_pictures:
            raise BundleError(
                f"{bundle.folder}: takes {wanted(bundle.manifest.image_input)}; a pair takes ordinary pictures alone"
            )
        if bundle.manifest.state:
            raise BundleError(
                f"{bundle.folder}: carries queries from frame to frame, which a pair does not; take another"
            )
    features = sorted({name for bundle in (semantic, instance) for name in bundle.manifest.required_features})
    labels, mapped, notes = unite(semantic.manifest.labels, instance.manifest.labels)
    bundles = dict(zip(PAIR, (semantic, instance), strict=True))
    with BundleWriter(out, overwrite=options.overwrite) as writer:
        variants = tuple(_variant(writer, bundles, names) for names in _precisions(semantic, instance))
        notes.append(f"variants: {', '.join(variant.precision for variant in variants)}")
        members = tuple(
            Member(
                name=name,
                technique=bundle.manifest.technique,
                family=bundle.manifest.family,
                source=bundle.manifest.source,
                labels=bundle.manifest.labels,
                decode=bundle.manifest.decode,
                classes=mapped[name],
            )
            for name, bundle in bundles.items()
        )
        manifest = Manifest(
            required_features=(MEMBERS, *features),
            name=name,
            technique="panoptic",
            family="pair",
            source=_source(semantic.manifest, instance.manifest),
            inputs=tuple(_input(name, spec) for name, bundle in bundles.items() for spec in bundle.manifest.inputs),
            heads=tuple(_head(name, head) for name, bundle in bundles.items() for head in bundle.manifest.heads),
            labels=labels,
            decode=options.rule,
            variants=variants,
            members=members,
            domain=_domain(semantic.manifest, instance.manifest),
        )
        pictures = _pictures(bundles)
        golden = _golden(writer, manifest, bundles, pictures, options.threads)

        precisions = [variant.precision for variant in variants]
        writer.finish(
            msgspec.structs.replace(manifest, golden=golden),
            (lambda folder: verify_or_refuse(folder, out, precisions, threads=options.threads)) if golden else None,
        )
    return notes


def unite(
    semantic: tuple[Label, ...], instance: tuple[Label, ...]
) -> tuple[tuple[Label, ...], dict[str, tuple[int, ...]], list[str]]:
    """Return the classes of a pair, for each member the positions of its own among them (-1: none), and what to say."""
    things = [label for label in instance if label.isthing and not _is_unused(label)]
    if not things:
        raise BundleError("the instance bundle has no class that is a thing; adopt it with labels of its own")
    names = {label.name for label in things}
    stuff = [label for label in semantic if not label.isthing and label.name not in names and not _is_unused(label)]
    stuff = [label for label in stuff if label.name not in ("background", "void", "unlabeled", "other", "things")]
    if not stuff:
        raise BundleError(
            "the semantic bundle has no stuff class that is not a thing of the instance bundle; adopt it with labels "
            "that say which classes are stuff"
        )
    numbers = [label.dataset_id for label in (*stuff, *things)]
    united = (*stuff, *things)
    notes = [f"stuff by the semantic network: {_listed(stuff)}", f"things by the instance network: {_listed(things)}"]
    if len(set(numbers)) != len(numbers):
        united = tuple(msgspec.structs.replace(label, dataset_id=index) for index, label in enumerate(united))
        notes.append("both count by numbers of their own data set: the pair's classes are numbered anew, from 0")
    dropped = [label for label in semantic if label not in stuff and not _is_unused(label)]
    if dropped:
        notes.append(f"left to the instance network, or to nobody: {_listed(dropped)}")
    first = {label.name: index for index, label in enumerate(stuff)}
    second = {label.name: len(stuff) + index for index, label in enumerate(things)}
    mapped = {
        PAIR[0]: tuple(-1 if label.isthing else first.get(label.name, -1) for label in semantic),
        PAIR[1]: tuple(second[label.name] if label in things else -1 for label in instance),
    }
    return united, mapped, notes


def _is_unused(label: Label) -> bool:
    return label.name.startswith("unused ")


def _listed(labels: list[Label]) -> str:
    names = [label.name for label in labels]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _precisions(semantic: Bundle, instance: Bundle) -> list[tuple[str, str]]:
    """Return the precisions that both have, in the semantic bundle's order, or else the two first ones together."""
    first, second = ([variant.precision for variant in bundle.manifest.variants] for bundle in (semantic, instance))
    return [(name, name) for name in first if name in second] or [(first[0], second[0])]


def _variant(writer: BundleWriter, bundles: dict[str, Bundle], precisions: tuple[str, str]) -> Variant:
    files: dict[str, File] = {}
    heads: dict[str, HeadTolerance] = {}
    dtypes: dict[str, DType] = {}
    least = 1.0
    for (name, bundle), precision in zip(bundles.items(), precisions, strict=True):
        variant = bundle.variant(precision)
        network = bundle.network(variant, full=True)
        files[name] = writer.copy(f"{name}/{Path(variant.file.path).name}", network)
        # Dead queries differ between devices, and which live is told by unprefixed roles: the result is compared.
        queries = {head.name for head in bundle.manifest.heads if head.role in QUERY_ROLES}
        heads |= {prefixed(name, key): value for key, value in variant.tolerance.heads.items() if key not in queries}
        dtypes |= {prefixed(name, key): value for key, value in variant.head_dtypes.items()}
        least = min(least, variant.tolerance.agreement)
    return Variant(
        precision="-".join(dict.fromkeys(precisions)),
        file=files[PAIR[0]],
        member_files=files,
        tolerance=Tolerance(least, heads),
        head_dtypes=dtypes,
    )


def _input(member: str, spec: InputSpec) -> InputSpec:
    return msgspec.structs.replace(spec, name=prefixed(member, spec.name))


def _head(member: str, head: HeadSpec) -> HeadSpec:
    return msgspec.structs.replace(head, name=prefixed(member, head.name), role=prefixed(member, head.role))


def _domain(*manifests: Manifest) -> str | msgspec.UnsetType:
    """Return the domain of a pair: that of either network where it has one."""
    domains = {manifest.domain for manifest in manifests if isinstance(manifest.domain, str)}
    return " and ".join(sorted(domains)) or msgspec.UNSET


def _source(semantic: Manifest, instance: Manifest) -> Source:
    sources = (semantic.source, instance.source)
    return Source(
        weights=" + ".join(source.weights for source in sources),
        licence=" + ".join(dict.fromkeys(source.licence for source in sources)),
        versions=sources[0].versions | sources[1].versions,
        notes=f"semantic {semantic.name}, instance {instance.name}, merged by the heuristic of Panoptic FPN",
    )


def _pictures(bundles: dict[str, Bundle]) -> list[tuple[str, Picture]]:
    """Return the pictures of both members' golden frames, a few of each, by name; none twice."""
    frames = {
        frame.image.sha256: (f"{name}-{frame.name}", bundle, frame)
        for name, bundle in reversed(bundles.items())
        for frame in bundle.manifest.golden[: _MOST_FRAMES // 2]
    }
    return [(name, read_golden(bundle, frame)[0]) for name, bundle, frame in sorted(frames.values(), key=_first)]


def _first(entry: tuple[str, Bundle, Golden]) -> str:
    return entry[0]


def _golden(
    writer: BundleWriter,
    manifest: Manifest,
    bundles: dict[str, Bundle],
    pictures: list[tuple[str, Picture]],
    threads: int,
) -> tuple[Golden, ...]:
    """Return golden frames of both members' first variants in ONNX Runtime, after these passed their own."""
    heads: list[dict[str, Array]] = [{} for _ in pictures]
    precisions = _precisions(*bundles.values())[0]
    for (name, bundle), precision in zip(bundles.items(), precisions, strict=True):
        with open_segmenter(
            bundle, backend="onnxruntime", precision=precision, threads=threads, device="cpu"
        ) as segmenter:
            if bundle.manifest.golden:
                refuse_failed(verify(segmenter), bundle.folder, precision)
            for frame_heads, (_, picture) in zip(heads, pictures, strict=True):
                member_heads, _ = segmenter.heads(picture)
                frame_heads.update({prefixed(name, key): array for key, array in member_heads.items()})
    golden = []
    members = tuple(
        MemberRule(member.name, member.decode, member.labels, member.classes) for member in manifest.members
    )
    specs = {member.name: member_manifest(manifest, member).inputs for member in manifest.members}
    context = Context(manifest.decode, manifest.labels, threads, members)
    for frame_heads, (name, picture) in zip(heads, pictures, strict=True):
        views = {spec.name: np.zeros((1, *map(int, spec.shape[1:])), spec.dtype) for spec in manifest.inputs}
        geometry = fill_members(picture, specs, views)
        by_role = {head.role: frame_heads[head.name][0] for head in manifest.heads}
        result = find_decoder(manifest.decode, "cpu")(by_role, geometry, context)
        golden.append(add_golden(writer, name, picture, GoldenOutputs(by_role, result)))
    return tuple(golden)
