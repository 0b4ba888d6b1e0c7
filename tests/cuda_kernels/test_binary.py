"""The cut of one object's scores on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.cuda.binary import BinaryProgram
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry

KINDS = [
    ("logits", "scores", np.float32),
    ("logits", "scores", np.float16),
    ("logits", "probabilities", np.float32),
    ("logits", "probabilities", np.float16),
    ("probabilities", "scores", np.float32),
    ("bytes", "scores", np.uint8),
    ("bytes", "scores", np.float16),
    ("mask", "scores", np.uint8),
    ("mask", "scores", np.float32),
    ("mask", "scores", np.float16),
]


@pytest.mark.parametrize(("scores", "enlarge", "dtype"), KINDS)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 50)),
    window=st.sampled_from([(0, 0, 64, 48), (3, 0, 60.5, 48), (0, 8, 64, 40)]),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    aligned=st.booleans(),
    names=st.sampled_from(["s", "st"]),
    with_channel=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_cpu_bit_for_bit(
    scores, enlarge, dtype, shape, size, window, threshold, aligned, names, with_channel, seed, order
):
    random = np.random.default_rng(seed)
    if dtype == np.uint8:
        head = random.integers(0, random.choice([2, 256]), shape).astype(dtype)
    else:
        head = np.round(random.normal(size=shape), random.choice([0, 5])).astype(dtype)
        head[random.random(shape) < random.choice([0, 0.05])] = random.choice([np.nan, np.inf, -np.inf])
    heads = {"object_scores": head[None] if with_channel else head}
    rule = Binary(threshold, scores, enlarge, align_corners=aligned)
    context = Context(rule, labels(names), threads=1)
    geometry = Geometry(size, (64, 48), window)
    got = decode_on_gpu(BinaryProgram, heads, geometry, context, order=order)
    want = decode_on_cpu(heads, geometry, context)
    np.testing.assert_array_equal(got.class_map, want.class_map)
    assert got.nonfinite_heads == want.nonfinite_heads
