"""Scenes for the rules of instances, and what equal results are."""

import numpy as np
from hypothesis import strategies as st

from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult

SIZES = st.tuples(st.integers(1, 100), st.integers(1, 70))
WINDOWS = st.sampled_from([(0, 0, 64, 48), (3, 0, 60.5, 48), (0, 8, 64, 40), (10.25, 7.5, 41, 30.125)])
SEEDS = st.integers(0, 2**32 - 1)
ORDERS = st.integers(0, 3)


def geometry_of(size: tuple[int, int], window: tuple[float, float, float, float]) -> Geometry:
    """Return the geometry of a network of 64 x 48."""
    return Geometry(size, (64, 48), window)


def blobs(random: np.random.Generator, shape: tuple[int, int, int], dtype: type, *, noise: float) -> np.ndarray:
    """Return logits of `shape`, each mask one disc or nothing; with `noise`, many small parts and ties at 0.

    Without noise, in every other scene only -1, 0 and 1, between which rounding alone decides many pixels.
    """
    if noise == 0 and random.random() < 0.5:
        return random.choice([-1.0, 0.0, 1.0], shape).astype(dtype)
    count, height, width = shape
    y, x = np.mgrid[:height, :width]
    centre = random.uniform(-2, max(height, width) + 2, (2, count, 1, 1))
    radius = random.uniform(-3, 0.7 * max(height, width), (count, 1, 1))
    logits = radius - np.hypot(y - centre[0], x - centre[1]) + noise * random.normal(size=shape)
    return np.where(random.random(shape) < 0.05 * noise, 0.0, logits).astype(dtype)


def spoiled(random: np.random.Generator, head: np.ndarray, chance: float) -> np.ndarray:
    """Return `head` with some of its values NaN or infinite, once in so many heads."""
    if random.random() < chance:
        head = head.copy()
        where = random.random(head.shape) < 0.05
        head[where] = random.choice([np.nan, np.inf, -np.inf], int(where.sum()))
    return head


def assert_same(got: InstanceResult, want: InstanceResult) -> None:
    """Hold the results equal to the bit, in their order."""
    for name in ("scores", "class_ids", "boxes"):
        a, b = getattr(got, name), getattr(want, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert got.rles == want.rles
    assert got.size == want.size
    assert got.nonfinite_heads == want.nonfinite_heads
