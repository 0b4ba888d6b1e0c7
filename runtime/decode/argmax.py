"""Rule `argmax`: semantic, from a score for every class and cell."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from segrt.runtime import postproc
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.technique import Technique


class Argmax(DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="argmax"):
    """Semantic: head `semantic_logits` (1, C, h, w); bilinear logits, argmax over classes.

    `align_corners` is for networks whose logits are meant to be enlarged so that the centres of the corner cells meet
    those of the corner pixels (torch's `align_corners=True`).
    """

    technique: ClassVar[Technique] = "semantic"
    roles: ClassVar[tuple[str, ...]] = ("semantic_logits",)
    least_labels: ClassVar[int] = 2

    align_corners: bool = False


def argmax(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> SemanticResult:
    """Decode `semantic_logits` (C, h, w): bilinear logits, argmax."""
    logits = heads["semantic_logits"]
    aligned = isinstance(context.decode, Argmax) and context.decode.align_corners
    window = geometry.window_on(logits.shape[1:], align_corners=aligned)
    report = postproc.Report()
    classes = postproc.argmax_map(logits, geometry.source_size, window=window, threads=context.threads, report=report)
    return SemanticResult.decided(
        classes, context.labels, classes=logits.shape[0], nonfinite_heads=int(report.nonfinite > 0)
    )
