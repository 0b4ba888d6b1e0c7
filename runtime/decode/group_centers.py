"""Rule `group_centers`: panoptic from classes, object centres and offsets to them (Panoptic-DeepLab)."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.merged_segments import described
from segrt.runtime.decode.nonfinite import bad_heads
from segrt.runtime.decode.processed_size import ProcessedSize, features, size_of
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import PanopticResult
from segrt.runtime.results.technique import Technique


class GroupCenters(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="group_centers"
):
    """Panoptic from classes, object centres and offsets to them (Panoptic-DeepLab).

    Heads `semantic_logits` (1, C, h, w), `center_heatmap` (1, 1, h, w) and `offsets` (1, 2, h, w), y then x, in cells
    of the head's own grid. All are interpolated to the source first. A centre is a pixel whose heat is above
    `score_threshold` and the largest in a square of `nms_kernel` pixels; of more than `top_k`, the hottest count.
    Stuff of fewer than `stuff_area_limit` pixels is void. Both sizes are in source pixels. Heat and offsets go by way
    of the network's size, as detectron2 has it, and so do the logits with a `processed_size`.
    """

    technique: ClassVar[Technique] = "panoptic"
    roles: ClassVar[tuple[str, ...]] = ("semantic_logits", "center_heatmap", "offsets")
    least_labels: ClassVar[int] = 2

    score_threshold: Share = 0.1
    nms_kernel: Annotated[int, msgspec.Meta(ge=1)] = 7
    top_k: Annotated[int, msgspec.Meta(ge=1)] = 200
    stuff_area_limit: Annotated[int, msgspec.Meta(ge=0)] = 2048
    processed_size: ProcessedSize | None = None

    @property
    def required_features(self) -> tuple[str, ...]:
        """What older readers would leave out in silence."""
        return features(self.processed_size)

    def head_problems(self, heads: Mapping[str, HeadSpec], labels: int) -> Iterable[str]:  # noqa: ARG002
        """Yield what is wrong with `nms_kernel`, the side of a square around a pixel."""
        if self.nms_kernel % 2 == 0:
            yield f"decode.nms_kernel must be odd, but got {self.nms_kernel}"


def group_centers(heads: Mapping[str, npt.NDArray[Any]], geometry: Geometry, context: Context) -> PanopticResult:
    """Decode `semantic_logits` (C, h, w), `center_heatmap` (1, h, w) and `offsets` (2, h, w) in cells of that grid."""
    rule = cast("GroupCenters", context.decode)
    logits, cells = heads["semantic_logits"], heads["offsets"]
    report = postproc.Report()
    classes = postproc.argmax_map(
        logits,
        geometry.source_size,
        window=geometry.window_on(logits.shape[1:]),
        processed_size=size_of(rule.processed_size, geometry),
        threads=context.threads,
        report=report,
    )
    top, left, bottom, right = geometry.window_on((cells.shape[1], cells.shape[2]))
    height, width = geometry.source_size
    offsets = to_source(cells, geometry, context.threads)
    offsets[0] *= height / (bottom - top)
    offsets[1] *= width / (right - left)
    segment_ids, grouped = postproc.group_centers(
        classes,
        to_source(heads["center_heatmap"], geometry, context.threads),
        offsets,
        thing_classes=tuple(index for index, label in enumerate(context.labels) if label.isthing),
        threshold=rule.score_threshold,
        nms_kernel=rule.nms_kernel,
        top_k=rule.top_k,
        stuff_area_limit=rule.stuff_area_limit,
        threads=context.threads,
    )
    # A heat is trained towards 1 and may be beyond it.
    segments = [segment._replace(score=min(segment.score, 1.0)) for segment in grouped]
    bad = (report.nonfinite > 0) + bad_heads(heads["center_heatmap"], cells)
    return PanopticResult.decided(segment_ids, described(segments, context.labels), context.labels, nonfinite_heads=bad)


def to_source(stack: npt.NDArray[Any], geometry: Geometry, threads: int = 0) -> npt.NDArray[np.float32]:
    """Return `stack` (K, h, w), a head of few channels, as float32 (K, H, W) at source size.

    In two steps, as detectron2 has it: bilinear to the network's size, the padding cut away, bilinear to the source's
    (`sem_seg_postprocess`).
    """
    top, left, bottom, right = (round(edge) for edge in geometry.window)
    return postproc.resize_by_way(
        stack, geometry.network_size, (top, left, bottom, right), geometry.source_size, threads=threads
    )
