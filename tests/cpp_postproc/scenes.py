"""Heads as networks give them: blobs for masks, confident classes, and the odd value that is not finite."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime import _postproc

KERNELS = ("scalar", "baseline", "avx2", "avx512")


def available_kernels() -> list[str]:
    """The kernel tables of this processor."""
    names = []
    for name in KERNELS:
        try:
            _postproc.choose_kernels(name)
        except ValueError:
            continue
        names.append(name)
    _postproc.choose_kernels("auto")
    return names


@contextmanager
def kernels(name: str) -> Iterator[None]:
    """Run with one kernel table."""
    _postproc.choose_kernels(name)
    try:
        yield
    finally:
        _postproc.choose_kernels("auto")


def query_heads(
    rng: np.random.Generator, queries: int, classes: int, height: int, width: int, noise: float = 0.5
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Class logits (Q, C+1), two thirds of them confident, and mask logits (Q, h, w) of overlapping discs."""
    ys, xs = np.mgrid[:height, :width]
    centre = rng.uniform(0, 1, (queries, 2)) * (height, width)
    radius = rng.uniform(0.1, 0.45, queries) * min(height, width) + 1
    distance = np.hypot(ys - centre[:, :1, None], xs - centre[:, 1:, None])
    masks = np.clip((radius[:, None, None] - distance) * 1.5, -9, 9) + rng.normal(size=distance.shape) * noise
    logits = rng.normal(size=(queries, classes + 1))
    logits[np.arange(queries), rng.integers(0, classes, queries)] += 5
    logits[rng.uniform(size=queries) < 0.3, -1] += 9
    return logits.astype(np.float32), masks.astype(np.float32)


def heads_of_kind(
    rng: np.random.Generator, kind: str, queries: int, classes: int, grid: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Class logits and mask logits that are smooth, or "noisy", with "ties", "nonfinite", or of "half" precision."""
    logits, masks = query_heads(rng, queries, classes, *grid, noise=4.0 if kind == "noisy" else 0.3)
    if kind == "ties":
        masks = np.round(masks / 4)
    if kind == "nonfinite":
        masks[rng.uniform(size=masks.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    return logits, masks.astype(np.float16) if kind == "half" else masks


def boxes_for(rng: np.random.Generator, count: int, size: tuple[int, int]) -> NDArray[Any]:
    """Boxes that touch the picture, some reaching out of it."""
    corner = rng.uniform(-0.2, 0.9, (count, 2)) * size[::-1]
    extent = rng.uniform(0.25, 0.6, (count, 2)) * size[::-1]
    return np.concatenate([corner, corner + extent], 1).astype(np.float32)


def same_up_to(actual: NDArray[Any], expected: NDArray[Any], per_million: float = 2.0) -> bool:
    """At most so many pixels in a million differ, or a single one."""
    return int((actual != expected).sum()) <= max(1.0, per_million * actual.size / 1e6)
