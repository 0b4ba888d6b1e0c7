"""Rule `matrix_nms`: instances from grid cells with a mask each, rescored and suppressed by Matrix NMS (SOLOv2).

The order of operations is that of mmdetection's `SOLOV2Head._predict_by_feat_single` and `mask_matrix_nms`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, cast

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
Span = tuple[int, int]


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
    _check(heads, geometry, rule, len(context.labels))
    scores = np.asarray(heads["scores"], np.float32)
    chosen = np.flatnonzero(scores > rule.candidate_threshold)
    probabilities = np.asarray(heads["mask_probabilities"][chosen], np.float32)
    inside = probabilities > rule.mask_threshold
    areas = np.count_nonzero(inside, axis=(1, 2)).astype(np.float32)
    large = np.flatnonzero(areas > np.asarray(heads["least_areas"], np.float32)[chosen])
    maskness = np.array([probabilities[row][inside[row]].mean(dtype=np.float64) for row in large], np.float32)
    rescored = scores[chosen[large]] * maskness.reshape(-1)
    order = np.argsort(-rescored, kind="stable")[: rule.nms_pre]
    rows, rescored = large[order], rescored[order]
    class_ids = np.asarray(heads["class_ids"])[chosen[rows]].astype(np.int64)
    decayed = postproc.matrix_nms(
        inside[rows], rescored, class_ids, kernel=rule.kernel, sigma=rule.sigma, threads=context.threads
    )
    ranked = np.argsort(-decayed, kind="stable")
    ranked = ranked[decayed[ranked] >= max(rule.filter_threshold, rule.score_threshold)][: rule.max_instances]
    rles = [enlarge(probabilities[rows[index]], geometry, rule.stride, rule.mask_threshold) for index in ranked]
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


def _check(heads: Mapping[str, Array], geometry: Geometry, rule: MatrixNms, labels: int) -> None:
    grid = heads["mask_probabilities"].shape[1:]
    if grid[0] * rule.stride < geometry.window[2] or grid[1] * rule.stride < geometry.window[3]:
        raise BundleError(
            f"the network's masks of {grid[0]}x{grid[1]} cells of {rule.stride} pixels do not cover its input of "
            f"{geometry.network_size[0]}x{geometry.network_size[1]}; export it again, or give its own stride"
        )
    class_ids = heads["class_ids"]
    if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < labels:
        raise BundleError(
            f"the network gives class ids {int(class_ids.min())} to {int(class_ids.max())}, but the bundle has "
            f"{labels} labels; export it with its own"
        )


def enlarge(probabilities: Floats, geometry: Geometry, stride: int, threshold: float) -> rle.Rle:
    """Return the mask at source size where `probabilities` (h, w), interpolated twice, are above `threshold`.

    First to the network's size, `stride` pixels to a cell, then from the picture's part of that to the source. Both
    steps together are one matrix for the rows and one for the columns, of which the mask needs a part.
    """
    height, width = geometry.source_size
    mask = np.zeros((height, width), np.bool_)
    above = probabilities > threshold
    rows, columns = _span(above.any(axis=1)), _span(above.any(axis=0))
    if rows is not None and columns is not None:
        top, left, bottom, right = (int(edge) for edge in geometry.window)
        down = two_steps(probabilities.shape[0], stride, (top, bottom), height)
        across = two_steps(probabilities.shape[1], stride, (left, right), width)
        # Outside of these rows and columns all cells around a pixel are at or below the threshold.
        target_rows, target_columns = _reached(down, rows), _reached(across, columns)
        source_rows, source_columns = _used(down[target_rows]), _used(across[target_columns])
        part = probabilities[source_rows, source_columns]
        values = down[target_rows, source_rows] @ part @ across[target_columns, source_columns].T
        mask[target_rows, target_columns] = values > threshold
    return rle.encode(mask)


@lru_cache(maxsize=16)
def two_steps(cells: int, stride: int, window: Span, length: int) -> Floats:
    """Return the weights (length, cells) of enlarging by `stride`, cutting out `window`, resizing to `length`."""
    whole = bilinear(cells, cells * stride)
    weights: Floats = bilinear(window[1] - window[0], length) @ whole[window[0] : window[1]]
    weights.flags.writeable = False
    return weights


def bilinear(source: int, target: int) -> Floats:
    """Return the weights (target, source) of torch's `interpolate(mode="bilinear", align_corners=False)`."""
    position = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0)
    low = np.minimum(position.astype(np.intp), source - 1)
    high = np.minimum(low + 1, source - 1)
    weights = np.zeros((target, source), np.float32)
    rows = np.arange(target)
    np.add.at(weights, (rows, low), 1 - (position - low))
    np.add.at(weights, (rows, high), position - low)
    return weights


def _span(some: npt.ArrayLike) -> slice | None:
    places = np.flatnonzero(some)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else None


def _reached(weights: Floats, cells: slice) -> slice:
    """Return the target pixels that read any of `cells`."""
    return _span(weights[:, cells].any(axis=1)) or slice(0, 0)


def _used(weights: Floats) -> slice:
    """Return the cells that these target pixels read."""
    return _span(weights.any(axis=0)) or slice(0, 0)
