"""Rule `query_instances`: instances from queries."""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal, cast

import msgspec

from segrt.runtime import postproc
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.nonfinite import bad_among_two
from segrt.runtime.decode.processed_size import FEATURE, ProcessedSize, features, size_of
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult
from segrt.runtime.results.technique import Technique


class QueryInstances(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="query_instances"
):
    """Instances from queries: heads `class_logits` and `mask_logits` (1, Q, h, w).

    `class_logits` is (1, Q, C+1) with "no object" last for `softmax`, (1, Q, C) for `sigmoid`. With a `processed_size`
    masks are enlarged to it before the picture's size. With `softmax`, a class probability is weighed by the mask's
    mean probability where it is above a half: over the cells of the network's grid, of the processed size, or over the
    picture's pixels (`score_at`).
    """

    technique: ClassVar[Technique] = "instance"
    roles: ClassVar[tuple[str, ...]] = ("class_logits", "mask_logits")

    activation: Literal["softmax", "sigmoid"] = "softmax"
    top_k: Annotated[int, msgspec.Meta(ge=1)] = 100
    score_threshold: Share = 0.5
    processed_size: ProcessedSize | None = None
    score_at: Literal["grid", "processed", "picture"] = "grid"

    @property
    def required_features(self) -> tuple[str, ...]:
        """What older readers would leave out in silence."""
        return features(self.processed_size) or (() if self.score_at == "grid" else (FEATURE,))

    def head_problems(self, heads: Mapping[str, HeadSpec], labels: int) -> Iterable[str]:  # noqa: ARG002
        """Yield that a score at the processed size needs one."""
        if self.score_at == "processed" and self.processed_size is None:
            yield 'decode.score_at "processed" needs decode.processed_size'

    @property
    def has_no_object_class(self) -> bool:
        """Whether head `class_logits` has "no object" behind the labels' classes."""
        return self.activation == "softmax"


def query_instances(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `class_logits` (Q, C or C+1) and `mask_logits` (Q, h, w): the best (query, class) pairs and masks."""
    rule = cast("QueryInstances", context.decode)
    masks = heads["mask_logits"]
    report = postproc.Report()
    class_ids, scores, boxes, rles = postproc.query_instances_rle(
        heads["class_logits"],
        masks,
        geometry.source_size,
        top_k=rule.top_k,
        score_threshold=rule.score_threshold,
        activation=rule.activation,
        score_at=rule.score_at,
        processed_size=size_of(rule.processed_size, geometry),
        window=geometry.window_on((masks.shape[1], masks.shape[2])),
        threads=context.threads,
        report=report,
    )
    bad = bad_among_two(report, heads["class_logits"])
    return InstanceResult(boxes, scores, class_ids, rles, geometry.source_size, context.labels, nonfinite_heads=bad)
