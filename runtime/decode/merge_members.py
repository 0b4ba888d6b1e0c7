"""The panoptic decoder of a semantic and an instance network together: Panoptic FPN's heuristic."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.bundle.manifest import Member
from segrt.runtime.bundle.members import prefixed
from segrt.runtime.bundle.rules import MergeMembers
from segrt.runtime.decode.decoders import Context, find_decoder
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.member_inputs import MemberGeometry
from segrt.runtime.results import InstanceResult, PanopticResult, Segment, SemanticResult

Array = npt.NDArray[Any]


def merge_members(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> PanopticResult:
    """Decode each member's heads (roles "MEMBER.ROLE") by its own rule, then merge class map and objects."""
    rule = cast("MergeMembers", context.decode)
    places = cast("MemberGeometry", geometry).members
    first, second = context.members
    semantic = _decoded(first, heads, places[first.name], context)
    objects = _decoded(second, heads, places[second.name], context, rule.score_threshold)
    assert isinstance(semantic, SemanticResult)
    assert isinstance(objects, InstanceResult)
    classes = np.array(second.classes, np.int64)[objects.class_ids]
    known = np.flatnonzero(classes >= 0)
    ids, merged = postproc.merge_semantic_instances(
        _stuff(semantic, first),
        objects.masks[known],
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
        for segment in merged
    ]
    return PanopticResult(ids, segments, context.labels)


def _decoded(
    member: Member, heads: Mapping[str, Array], geometry: Geometry, context: Context, threshold: float | None = None
) -> Any:
    """Return the result of one member; `threshold` replaces that of its rule, for there is one for the whole bundle."""
    start = prefixed(member.name, "")
    own = {role.removeprefix(start): array for role, array in heads.items() if role.startswith(start)}
    decode: msgspec.Struct = member.decode
    if threshold is not None and "score_threshold" in decode.__struct_fields__:
        decode = msgspec.structs.replace(decode, score_threshold=threshold)
    return find_decoder(decode, "cpu")(own, geometry, Context(decode, member.labels, context.threads))


def _stuff(semantic: SemanticResult, member: Member) -> npt.NDArray[np.int64] | npt.NDArray[np.uint8]:
    """Return the class map with the position of the bundle's label + 1 for stuff, 0 for all else."""
    classes = semantic.class_map
    table = np.zeros(np.iinfo(classes.dtype).max + 1, np.uint8 if max(member.classes) < 255 else np.int64)
    table[: len(member.classes)] = np.array(member.classes) + 1
    stuff: npt.NDArray[np.int64] | npt.NDArray[np.uint8] = table[classes]
    return stuff
