"""Rule `binary`: semantic, from one score for each cell: how much it belongs to the object."""

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.class_map import nearest
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.semantic import void_value
from segrt.runtime.results.technique import Technique

Scores = Literal["logits", "probabilities", "bytes", "mask"]
FEATURE = "binary"
"""What a manifest with this rule names in `required_features`: older readers do not know it."""
SCORES: tuple[Scores, ...] = ("logits", "probabilities", "bytes", "mask")
_FULL_BYTE = 255.0


class Binary(DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="binary"):
    """Semantic from one channel: head `object_scores` (1, 1, h, w) or (1, h, w), float or uint8.

    A pixel whose probability is above `score_threshold` is the object: the second of two labels, or the only one; every
    other pixel is the first of two labels, or void where there is one. `scores` says what the head holds: `logits`,
    whose sigmoid is the probability; `probabilities`; `bytes`, 0 to 255 for 0 to 1; or a `mask` that the network has
    cut itself, where all but 0 is the object. Scores are enlarged bilinearly before they are cut, as transformers and
    segmentation-models-pytorch do with logits and matting networks with their sigmoids; with `enlarge` at
    `probabilities` the sigmoid of logits comes first. A mask is enlarged by nearest neighbour. `align_corners` is as in
    the rule `argmax`.
    """

    technique: ClassVar[Technique] = "semantic"
    roles: ClassVar[tuple[str, ...]] = ("object_scores",)

    score_threshold: Share = 0.5
    scores: Scores = "logits"
    enlarge: Literal["scores", "probabilities"] = "scores"
    align_corners: bool = False

    @property
    def required_features(self) -> tuple[str, ...]:
        """The rule's own name."""
        return (FEATURE,)

    def head_problems(self, heads: Mapping[str, HeadSpec], labels: int) -> Iterable[str]:
        """Yield what is wrong with the number of labels, and with what the head is said to hold."""
        head = heads["object_scores"]
        if labels > 2:
            yield f"decode rule binary tells one object from the rest, so there must be 1 or 2 labels, but got {labels}"
        if self.scores in ("logits", "probabilities") and head.dtype == "uint8":
            yield f"decode.scores of head {head.name!r}, which is uint8, must be bytes or mask, but got {self.scores}"
        if self.enlarge == "probabilities" and self.scores != "logits":
            yield f"decode.enlarge probabilities is for logits, but decode.scores is {self.scores}"


def binary(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> SemanticResult:
    """Decode `object_scores` (1, h, w) or (h, w): enlarged, then cut at the threshold."""
    rule = cast("Binary", context.decode)
    scores = heads["object_scores"]
    scores = scores[0] if scores.ndim == 3 else scores
    values = (1, 0) if len(context.labels) > 1 else (0, void_value(np.uint8, 1))
    if rule.scores == "mask":
        return SemanticResult.decided(_nearest_mask(scores, geometry, values), context.labels, classes=1)
    report = postproc.Report()
    classes = postproc.binary_map(
        scores[None] if scores.dtype.kind == "f" else scores[None].astype(np.float32),
        geometry.source_size,
        threshold=cut_of(rule),
        probabilities=rule.enlarge == "probabilities",
        values=values,
        window=geometry.window_on((scores.shape[0], scores.shape[1]), align_corners=rule.align_corners),
        threads=context.threads,
        report=report,
    )
    return SemanticResult.decided(classes, context.labels, classes=1, nonfinite_heads=int(report.nonfinite > 0))


def cut_of(rule: Binary) -> float:
    """Return the value of enlarged scores, in the head's own terms, above which the object is."""
    threshold = rule.score_threshold
    if rule.scores == "bytes":
        return threshold * _FULL_BYTE
    if rule.scores == "probabilities" or rule.enlarge == "probabilities":
        return threshold
    if threshold in (0.0, 1.0):
        return math.inf if threshold else -math.inf
    return math.log(threshold / (1 - threshold))


def _nearest_mask(mask: Array, geometry: Geometry, values: tuple[int, int]) -> npt.NDArray[np.uint8]:
    rows, columns = nearest(geometry, (mask.shape[0], mask.shape[1]))
    inside = (mask != 0).take(rows, axis=0).take(columns, axis=1)
    classes: npt.NDArray[np.uint8] = np.where(inside, np.uint8(values[0]), np.uint8(values[1]))
    return classes
