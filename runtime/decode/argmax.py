"""Rule `argmax`: semantic, from a score for every class and cell."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import msgspec

from segrt.runtime import postproc
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.processed_size import ProcessedSize, features, size_of
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.technique import Technique


class Argmax(DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="argmax"):
    """Semantic: head `semantic_logits` (1, C, h, w); bilinear logits, argmax over classes.

    `align_corners` is for networks whose logits are meant to be enlarged so that the centres of the corner cells meet
    those of the corner pixels (torch's `align_corners=True`). With a `processed_size` logits are enlarged to it before
    the picture's size, and padding is cut away there (Ultralytics, which enlarges to the network's).
    """

    technique: ClassVar[Technique] = "semantic"
    roles: ClassVar[tuple[str, ...]] = ("semantic_logits",)
    least_labels: ClassVar[int] = 2

    align_corners: bool = False
    processed_size: ProcessedSize | msgspec.UnsetType = msgspec.UNSET

    @property
    def processed(self) -> ProcessedSize | None:
        """The size before the picture's, None for none."""
        return None if isinstance(self.processed_size, msgspec.UnsetType) else self.processed_size

    @property
    def required_features(self) -> tuple[str, ...]:
        """What older readers do not know."""
        return features(self.processed)

    def head_problems(self, heads: Mapping[str, HeadSpec], labels: int) -> Iterable[str]:  # noqa: ARG002
        """Yield that corners cannot be aligned on the way to a processed size."""
        if self.align_corners and self.processed is not None:
            yield "decode.align_corners and decode.processed_size exclude each other"


def argmax(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> SemanticResult:
    """Decode `semantic_logits` (C, h, w): bilinear logits, argmax."""
    logits = heads["semantic_logits"]
    rule = context.decode if isinstance(context.decode, Argmax) else Argmax()
    window = geometry.window_on(logits.shape[1:], align_corners=rule.align_corners)
    report = postproc.Report()
    classes = postproc.argmax_map(
        logits,
        geometry.source_size,
        window=window,
        processed_size=size_of(rule.processed, geometry),
        threads=context.threads,
        report=report,
    )
    return SemanticResult.decided(
        classes, context.labels, classes=logits.shape[0], nonfinite_heads=int(report.nonfinite > 0)
    )
