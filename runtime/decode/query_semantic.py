"""Rule `query_semantic`: semantic, from queries."""

from collections.abc import Mapping
from typing import ClassVar, cast

import msgspec

from segrt.runtime import postproc
from segrt.runtime.decode.nonfinite import bad_among_two
from segrt.runtime.decode.processed_size import ProcessedSize, features, size_of
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.technique import Technique


class QuerySemantic(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="query_semantic"
):
    """Semantic from queries (MaskFormer): heads `class_logits` (1, Q, C+1), `mask_logits` (1, Q, h, w).

    With a `processed_size` masks are enlarged to it before classes' scores are added up (Mask2Former, EoMT).
    """

    technique: ClassVar[Technique] = "semantic"
    roles: ClassVar[tuple[str, ...]] = ("class_logits", "mask_logits")
    least_labels: ClassVar[int] = 2

    processed_size: ProcessedSize | None = None

    @property
    def required_features(self) -> tuple[str, ...]:
        """What older readers would leave out in silence."""
        return features(self.processed_size)


def query_semantic(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> SemanticResult:
    """Decode `class_logits` (Q, C+1) and `mask_logits` (Q, h, w): class scores weighted by mask probabilities."""
    rule = cast("QuerySemantic", context.decode)
    masks = heads["mask_logits"]
    window = geometry.window_on((masks.shape[1], masks.shape[2]))
    report = postproc.Report()
    classes = postproc.query_semantic(
        heads["class_logits"],
        masks,
        geometry.source_size,
        window=window,
        processed_size=size_of(rule.processed_size, geometry),
        threads=context.threads,
        report=report,
    )
    bad = bad_among_two(report, heads["class_logits"])
    told_apart = heads["class_logits"].shape[-1] - 1
    return SemanticResult.decided(classes, context.labels, classes=told_apart, nonfinite_heads=bad)
