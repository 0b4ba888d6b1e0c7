"""What tiles are blended from: the scores of all classes that a semantic network gives, before one is chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary, cut_of
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.inference.tensors import Array
from segrt.runtime.postproc.types import Floats
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results.semantic import void_value

Window = tuple[float, float, float, float]
_LARGEST = 3e38  # of float32


@dataclass(frozen=True)
class ScoreGrid:
    """Scores (C, h, w) of a view, and the `window` (top, left, bottom, right) of that grid which shows the view."""

    scores: Floats
    window: Window
    nonfinite_heads: int = 0


@dataclass(frozen=True)
class ScoreRule:
    """How scores are had of heads (role → array of one frame), and what classes channels stand for.

    `shares` says that scores are no logits but parts of a sum. `class_ids` are the channels' classes, None where they
    are their own.
    """

    read: Callable[[Mapping[str, Array], Geometry], ScoreGrid]
    shares: bool = False
    class_ids: tuple[int, ...] | None = None


def score_rule(decode: DecodeRule, labels: int) -> ScoreRule | None:
    """Return how `decode` has scores, with so many labels, or None where a class is all that there is."""
    if isinstance(decode, Argmax):
        aligned = decode.align_corners
        return ScoreRule(lambda heads, geometry: _logits(heads["semantic_logits"], geometry, align_corners=aligned))
    if isinstance(decode, QuerySemantic) and decode.processed_size is None:
        return ScoreRule(_of_queries, shares=True)
    if isinstance(decode, Binary) and decode.scores != "mask":
        ids = (0, 1) if labels > 1 else (void_value(np.uint8, 1), 0)
        is_logit = decode.scores == "logits" and decode.enlarge == "scores"
        return ScoreRule(lambda heads, geometry: _of_one(heads, geometry, decode), not is_logit, ids)
    return None


def _logits(logits: Array, geometry: Geometry, *, align_corners: bool, nonfinite: int = 0) -> ScoreGrid:
    bad = nonfinite + int(not np.isfinite(logits).all())
    return ScoreGrid(logits, geometry.window_on(logits.shape[1:], align_corners=align_corners), bad)


def _of_queries(heads: Mapping[str, Array], geometry: Geometry) -> ScoreGrid:
    """Return the sums that MaskFormer's post-processing makes in each cell."""
    bad = sum(int(not np.isfinite(heads[role]).all()) for role in ("class_logits", "mask_logits"))
    classes, masks = (_finite(heads[role]) for role in ("class_logits", "mask_logits"))
    shares = np.exp(classes - classes.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    probabilities = _sigmoid(masks).reshape(len(masks), -1)
    scores = (shares[:, :-1].T @ probabilities).reshape(-1, *masks.shape[1:])
    return _logits(scores, geometry, align_corners=False, nonfinite=bad)


def _of_one(heads: Mapping[str, Array], geometry: Geometry, rule: Binary) -> ScoreGrid:
    """Return the object's scores behind a grid of the value at which they are cut."""
    scores = heads["object_scores"]
    grid = (scores[0] if scores.ndim == 3 else scores).astype(np.float32)
    bad = int(not np.isfinite(grid).all())
    if rule.enlarge == "probabilities":
        grid = _sigmoid(_finite(grid))
    cut = min(max(cut_of(rule), -_LARGEST), _LARGEST)
    both = np.stack([np.full_like(grid, cut), grid])
    return ScoreGrid(both, geometry.window_on(grid.shape, align_corners=rule.align_corners), bad)


def _finite(values: Array) -> npt.NDArray[np.float32]:
    """Return float32 in which what is not finite is what the core takes it for."""
    limited = np.clip(np.nan_to_num(values.astype(np.float32), nan=-1e38), -1e38, 1e38)
    return cast("npt.NDArray[np.float32]", limited.astype(np.float32))


def _sigmoid(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return cast("npt.NDArray[np.float32]", (1 / (1 + np.exp(-np.clip(values, -87, 87)))).astype(np.float32))
