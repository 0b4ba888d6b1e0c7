"""Rule `merge_queries`: panoptic from queries, by MaskFormer's, Mask2Former's, EoMT's, YOSO's or DETR's own merge."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.merged_segments import described
from segrt.runtime.decode.nonfinite import bad_among_two
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.postproc.types import MergeRule as CoreRule
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import PanopticResult
from segrt.runtime.results.technique import Technique

MergeRule = Literal["maskformer", "mask2former", "eomt", "yoso", "detr"]
# The peers bring masks to the size that the network saw before anything else (Mask2Former's always to 384 x 384).
_RESIZED_FIRST = ("eomt", "yoso", "detr")


class MergeQueries(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="merge_queries"
):
    """Panoptic from queries: heads `class_logits` (1, Q, C+1), `mask_logits` (1, Q, h, w), merged by `merge_rule`.

    "detr" with `compat` is segment for segment what facebookresearch's post-processor makes: of several queries of one
    stuff class it keeps the first alone, and the pixels of the others go to whoever is next, of any class.

    "yoso" is "eomt", but that a query stands as well of whose own mask exactly `overlap_threshold` is left to it.
    """

    technique: ClassVar[Technique] = "panoptic"
    roles: ClassVar[tuple[str, ...]] = ("class_logits", "mask_logits")

    merge_rule: MergeRule = "maskformer"
    score_threshold: Share = 0.5
    overlap_threshold: Share = 0.8
    compat: bool = False

    def __post_init__(self) -> None:
        """Refuse mistakes that a result cannot have."""
        if self.compat and self.merge_rule != "detr":
            raise ValueError(
                f"compat is for merge_rule detr, with {self.merge_rule} two segments would share one id; leave it out"
            )

    @property
    def core_rule(self) -> CoreRule:
        """The rule of the core that this is, at `core_overlap`."""
        return "eomt" if self.merge_rule == "yoso" else self.merge_rule

    @property
    def core_overlap(self) -> float:
        """The overlap threshold as the core wants it, of which a query must have more left: its shares are float32."""
        if self.merge_rule != "yoso":
            return self.overlap_threshold
        return float(np.nextafter(np.float32(self.overlap_threshold), np.float32(-1)))


def merge_queries(heads: Mapping[str, npt.NDArray[Any]], geometry: Geometry, context: Context) -> PanopticResult:
    """Decode `class_logits` (Q, C+1) and `mask_logits` (Q, h, w) by the bundle's merge rule and thresholds."""
    rule = cast("MergeQueries", context.decode)
    masks = heads["mask_logits"]
    report = postproc.Report()
    segment_ids, merged = postproc.merge_queries(
        heads["class_logits"],
        masks,
        geometry.source_size,
        rule=rule.core_rule,
        score_threshold=rule.score_threshold,
        overlap_threshold=rule.core_overlap,
        stuff_classes=tuple(index for index, label in enumerate(context.labels) if not label.isthing),
        window=geometry.window_on((masks.shape[1], masks.shape[2])),
        processed_size=geometry.network_size if rule.merge_rule in _RESIZED_FIRST else None,
        threads=context.threads,
        compat=rule.compat,
        report=report,
    )
    bad = bad_among_two(report, heads["class_logits"])
    return PanopticResult.decided(segment_ids, described(merged, context.labels), context.labels, nonfinite_heads=bad)
