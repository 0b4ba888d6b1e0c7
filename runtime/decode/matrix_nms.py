"""Rule `matrix_nms`: instances from grid cells with a mask each, rescored and suppressed by Matrix NMS (SOLOv2).

The order of operations is that of mmdetection's `SOLOV2Head._predict_by_feat_single` and `mask_matrix_nms`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime import postproc
from segrt.runtime.decode.nonfinite import bad_heads
from segrt.runtime.decode.rule import Context, DecodeRule, Share
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult, rle
from segrt.runtime.results.technique import Technique

Floats = npt.NDArray[np.float32]
Size = tuple[int, int]


class MatrixNms(
    DecodeRule, msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="matrix_nms"
):
    """Instances from grid cells with a mask each (SOLOv2), in mmdetection's order of operations.

    Heads `scores` (1, K), `class_ids` (1, K) from 0, `least_areas` (1, K) and `mask_probabilities` (1, K, h, w), a cell
    being `stride` network pixels. Cells that score above `candidate_threshold` take part; a mask is where its
    probability is above `mask_threshold`, and goes unless it has more cells than its least area. Scores are multiplied
    by the mean probability in the mask; the `nms_pre` best are lowered by Matrix NMS; those of `filter_threshold` or
    more stay, at most `max_instances`. `score_threshold` is what a lowered score must reach beyond that to be shown.
    """

    technique: ClassVar[Technique] = "instance"
    roles: ClassVar[tuple[str, ...]] = ("scores", "class_ids", "least_areas", "mask_probabilities")

    candidate_threshold: Share = 0.1
    mask_threshold: Share = 0.5
    filter_threshold: Share = 0.05
    score_threshold: Share = 0.3
    nms_pre: Annotated[int, msgspec.Meta(ge=1)] = 500
    max_instances: Annotated[int, msgspec.Meta(ge=1)] = 100
    kernel: Literal["gaussian", "linear"] = "gaussian"
    sigma: Annotated[float, msgspec.Meta(gt=0.0)] = 2.0
    stride: Annotated[int, msgspec.Meta(ge=1)] = 4


def matrix_nms(heads: Mapping[str, Array], geometry: Geometry, context: Context) -> InstanceResult:
    """Decode `scores` (K,), `class_ids` (K,), `least_areas` (K,) and `mask_probabilities` (K, h, w).

    Raises BundleError for masks that do not cover the picture, and for class ids without a label.
    """
    rule = cast("MatrixNms", context.decode)
    height, width = heads["mask_probabilities"].shape[1:]
    check_grid((height, width), geometry, rule.stride)
    check_class_ids(heads["class_ids"], len(context.labels))
    scores = np.asarray(heads["scores"], np.float32)
    chosen = np.flatnonzero(scores > rule.candidate_threshold)
    probabilities = np.asarray(heads["mask_probabilities"][chosen], np.float32)
    inside = probabilities > rule.mask_threshold
    areas = np.count_nonzero(inside, axis=(1, 2)).astype(np.float32)
    # A mask without a cell has no mean, whatever is asked of it.
    large = np.flatnonzero(areas > np.maximum(np.asarray(heads["least_areas"], np.float32)[chosen], 0))
    rescored = scores[chosen[large]] * _mean_inside(probabilities[large], inside[large])
    order = np.argsort(-rescored, kind="stable")[: rule.nms_pre]
    rows, rescored = large[order], rescored[order]
    class_ids = np.asarray(heads["class_ids"])[chosen[rows]].astype(np.int64)
    decayed = postproc.matrix_nms(
        inside[rows], rescored, class_ids, kernel=rule.kernel, sigma=rule.sigma, threads=context.threads
    )
    ranked = np.argsort(-decayed, kind="stable")
    ranked = ranked[decayed[ranked] >= max(rule.filter_threshold, rule.score_threshold)][: rule.max_instances]
    rles = postproc.stepwise_masks_rle(
        probabilities[rows[ranked]],
        geometry.source_size,
        processed_size=(height * rule.stride, width * rule.stride),
        window=whole_window(geometry),
        threshold=rule.mask_threshold,
        threads=context.threads,
    )
    areas_out, extents = rle.measure(rles)
    seen = areas_out > 0
    return InstanceResult(
        boxes=extents[seen].astype(np.float32).reshape(-1, 4),
        scores=decayed[ranked][seen],
        class_ids=class_ids[ranked][seen],
        rles=[code for code, some in zip(rles, seen, strict=True) if some],
        size=geometry.source_size,
        labels=context.labels,
        nonfinite_heads=bad_heads(scores, heads["least_areas"], probabilities),
    )


def check_class_ids(class_ids: npt.NDArray[Any], labels: int) -> None:
    """Raise BundleError unless all `class_ids` have one of so many labels."""
    if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < labels:
        raise BundleError(
            f"the network gives class ids {int(class_ids.min())} to {int(class_ids.max())}, but the bundle has "
            f"{labels} labels; export it with its own"
        )


def check_grid(grid: Size, geometry: Geometry, stride: int) -> None:
    """Raise BundleError unless a grid of masks (h, w) covers the picture in the network's input."""
    if grid[0] * stride < geometry.window[2] or grid[1] * stride < geometry.window[3]:
        raise BundleError(
            f"the network's masks, {grid[0]} cells of {stride} pixels high and {grid[1]} wide, do not cover its input, "
            f"{geometry.network_size[0]} high and {geometry.network_size[1]} wide; export it again, "
            "or give its own stride"
        )


def whole_window(geometry: Geometry) -> tuple[int, int, int, int]:
    """Return the window (top, left, bottom, right) in whole pixels of the network's input."""
    top, left, bottom, right = (int(edge) for edge in geometry.window)
    return top, left, bottom, right


def _mean_inside(probabilities: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """Return the means (N,) of the probabilities (N, h, w) that are `inside`, at least one each.

    Cell i is added to sum i mod 32; then sum i + step is added to sum i, for steps of 16, 8, 4, 2 and 1.
    """
    means = np.zeros(len(probabilities), np.float32)
    for row, (values, within) in enumerate(zip(probabilities, inside, strict=True)):
        added = np.where(within, values, 0).reshape(-1).astype(np.float64)
        sums = np.pad(added, (0, -added.size % 32)).reshape(-1, 32).sum(axis=0)
        for step in (16, 8, 4, 2, 1):
            sums[:step] += sums[step : 2 * step]
        means[row] = sums[0] / np.count_nonzero(within)
    return means
