"""Maps of classes: of logits, of one channel, of queries."""

import numpy as np

from reference.arrays import F32, Array
from reference.slow_resize import resize
from reference.slow_scores import finite, sigmoid, softmax


def argmax_map(logits: Array, size: tuple[int, int], window: tuple[float, float, float, float] | None = None) -> Array:
    """The first class of the highest interpolated logit."""
    return resize(finite(logits), size, window).argmax(0)


def binary_map(
    scores: Array,
    size: tuple[int, int],
    threshold: float,
    *,
    probabilities: bool = False,
    window: tuple[float, float, float, float] | None = None,
) -> Array:
    """1 where the interpolated score (1, h, w) is above the threshold, else 0."""
    grid = finite(scores)
    return (resize(sigmoid(grid) if probabilities else grid, size, window)[0] > F32(threshold)).astype(np.uint8)


def query_semantic(class_logits: Array, mask_logits: Array, size: tuple[int, int]) -> Array:
    """Interpolated class scores (C, H, W)."""
    scores = np.einsum("qc,qhw->chw", softmax(class_logits)[:, :-1], sigmoid(mask_logits))
    return resize(scores.astype(F32), size)
