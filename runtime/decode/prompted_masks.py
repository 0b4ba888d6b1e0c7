"""Rule `prompted_masks`: the mask of the object that a prompt points at."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.nonfinite import bad_heads
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.prompts import PromptedGeometry
from segrt.runtime.results import InstanceResult, rle
from segrt.runtime.results.technique import Technique

PROMPTS = "prompts"
"""What a manifest names in `required_features` where networks take prompts."""
MASKS, SCORES = "decoder.mask_logits", "decoder.iou_scores"


class PromptedMasks(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="prompted_masks"
):
    """The mask of the object that a prompt points at: heads `mask_logits` (1, 4, h, w), `iou_scores` (1, 4).

    The first mask is for prompts that say what is meant, the other three are a part, a thing and the whole, for a
    point alone. Of a point alone it is the one of the three with the highest predicted IoU. Otherwise it is the first
    one where that is stable: where the pixels above `stability_delta` are at least `stability_threshold` of those above
    -`stability_delta`; else again the best of the three (`_dynamic_multimask_via_stability` of SAM 2 in transformers).
    A pixel belongs to the object where the enlarged logit is above 0 (`post_process_masks` there).
    """

    technique: ClassVar[Technique] = "instance"
    roles: ClassVar[tuple[str, ...]] = (MASKS, SCORES)

    stability_delta: Annotated[float, msgspec.Meta(ge=0.0, le=1e4)] = 0.05  # logits, which float16 holds, too
    stability_threshold: Share = 0.98

    @property
    def required_features(self) -> tuple[str, ...]:
        """What older readers do not know."""
        return (PROMPTS,)


def prompted_masks(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `mask_logits` (4, h, w) and `iou_scores` (4,) of one prompt: one object, whose mask may be empty."""
    rule = cast("PromptedMasks", context.decode)
    masks, scores = heads[MASKS], np.asarray(heads[SCORES], np.float32)
    is_ambiguous = isinstance(geometry, PromptedGeometry) and geometry.is_ambiguous
    chosen = chosen_mask(masks, scores, rule, is_ambiguous=is_ambiguous)
    report = postproc.Report()
    codes = postproc.whole_masks_rle(
        np.ascontiguousarray(masks[chosen : chosen + 1], np.float32),
        geometry.source_size,
        threshold=0.0,
        window=geometry.window_on((masks.shape[1], masks.shape[2])),
        threads=context.threads,
        report=report,
    )
    return InstanceResult(
        boxes=boxes_of(codes),
        scores=np.clip(np.nan_to_num(scores[chosen : chosen + 1], nan=0.0), 0.0, 1.0),
        class_ids=np.zeros(1, np.int64),
        rles=codes,
        size=geometry.source_size,
        labels=context.labels,
        nonfinite_heads=bad_heads(scores) + (report.nonfinite > 0),
    )


def chosen_mask(masks: Array, scores: Array, rule: PromptedMasks, *, is_ambiguous: bool) -> int:
    """Return which of the masks (4, h, w) with predicted IoUs (4,) is the object's."""
    best = 1 + int(np.argmax(scores[1:]))
    if is_ambiguous:
        return best
    sure = int(np.count_nonzero(masks[0] > rule.stability_delta))
    perhaps = int(np.count_nonzero(masks[0] > -rule.stability_delta))
    stability = np.float32(sure) / np.float32(perhaps) if perhaps else np.float32(1)
    return 0 if stability >= np.float32(rule.stability_threshold) else best


def boxes_of(codes: list[rle.Rle]) -> npt.NDArray[np.float32]:
    """Return the extents of masks, xyxy with edges in pixels, (N, 4); zeros for an empty one."""
    return rle.measure(codes)[1].astype(np.float32)
