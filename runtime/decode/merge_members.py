"""Rule `merge_members`: panoptic from a semantic and an instance network together, by Panoptic FPN's heuristic."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.rule import Context, DecodeRule, MemberRule, Share
from segrt.runtime.inference.tensors import Array, prefixed
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.member_inputs import MemberGeometry
from segrt.runtime.results import InstanceResult, PanopticResult, Result, Segment, SemanticResult
from segrt.runtime.results.technique import Technique

Head = TypeVar("Head")


class MergeMembers(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="merge_members"
):
    """Panoptic from a semantic and an instance network: the heuristic of Panoptic FPN, as detectron2 has it.

    Instances with a score of `score_threshold` or more take free pixels, best first, unless more than
    `overlap_threshold` of one is taken already; of what is left, the semantic network's stuff becomes segments of at
    least `stuff_area_limit` source pixels. Where it sees a thing and no instance is, there is nothing.
    """

    technique: ClassVar[Technique] = "panoptic"

    score_threshold: Share = 0.5
    overlap_threshold: Share = 0.5
    stuff_area_limit: Annotated[int, msgspec.Meta(ge=0)] = 4096


def merge_members(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> PanopticResult:
    """Decode each member's heads (roles "MEMBER.ROLE") by its own rule, then merge class map and objects."""
    places = cast("MemberGeometry", geometry).members
    semantic, objects = (
        find_decoder(own.decode, "cpu")(member_heads(member, heads), places[member.name], own)
        for member, own in zip(context.members, member_contexts(context), strict=True)
    )
    return merged(semantic, objects, context)


def merged(semantic: Result, objects: Result, context: Context) -> PanopticResult:
    """Return class map and objects, the results of the two members, as one panoptic map."""
    assert isinstance(semantic, SemanticResult)
    assert isinstance(objects, InstanceResult)
    rule = cast("MergeMembers", context.decode)
    first, second = context.members
    classes = np.array(second.classes, np.int64)[objects.class_ids]
    known = np.flatnonzero(classes >= 0)
    ids, found = postproc.merge_semantic_instances(
        _stuff(semantic, first),
        [objects.rles[index] for index in known],
        objects.scores[known],
        classes[known],
        score_threshold=rule.score_threshold,
        overlap_threshold=rule.overlap_threshold,
        stuff_area_limit=rule.stuff_area_limit,
        threads=context.threads,
    )
    segments = [
        Segment(
            id=segment.id,
            class_id=segment.class_id if segment.query >= 0 else segment.class_id - 1,
            isthing=segment.query >= 0,
            score=segment.score,
            area=segment.area,
            bbox=segment.bbox,
        )
        for segment in found
    ]
    bad = semantic.nonfinite_heads + objects.nonfinite_heads
    return PanopticResult.decided(ids, segments, context.labels, nonfinite_heads=bad)


def member_contexts(context: Context) -> tuple[Context, Context]:
    """Return what each member's decoder needs: the objects' threshold is the bundle's, for there is one for both."""
    first, second = context.members
    objects = second.decode
    if "score_threshold" in objects.options:
        objects = objects.replaced(score_threshold=cast("MergeMembers", context.decode).score_threshold)
    return Context(first.decode, first.labels, context.threads), Context(objects, second.labels, context.threads)


def member_heads(member: MemberRule, heads: Mapping[str, Head]) -> dict[str, Head]:
    """Return a member's heads by its own roles."""
    start = prefixed(member.name, "")
    return {role.removeprefix(start): head for role, head in heads.items() if role.startswith(start)}


def _stuff(semantic: SemanticResult, member: MemberRule) -> npt.NDArray[np.int64] | npt.NDArray[np.uint8]:
    """Return the class map with the position of the bundle's label + 1 for stuff, 0 for all else."""
    classes = semantic.class_map
    table = np.zeros(np.iinfo(classes.dtype).max + 1, np.uint8 if max(member.classes) < 255 else np.int64)
    table[: len(member.classes)] = np.array(member.classes) + 1
    stuff: npt.NDArray[np.int64] | npt.NDArray[np.uint8] = table[classes]
    return stuff
