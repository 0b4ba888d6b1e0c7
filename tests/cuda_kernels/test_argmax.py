"""The class map on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.cuda.argmax import ArgmaxProgram
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(1, 12), st.integers(1, 12)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    window=st.sampled_from([(0, 0, 64, 48), (3, 0, 60.5, 48), (0, 8, 64, 40)]),
    aligned=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_cpu_bit_for_bit(dtype, shape, size, window, aligned, seed, order):
    random = np.random.default_rng(seed)
    special = random.choice([-2.0, -1.0, 0.5, 1.0, 3.0, np.nan, np.inf], shape).astype(dtype)
    heads = {"semantic_logits": np.where(random.random(shape) < 0.7, random.normal(size=shape).astype(dtype), special)}
    geometry = Geometry(size, (64, 48), window)
    context = Context(Argmax(align_corners=aligned), labels("s" * shape[0]), threads=1)
    got = decode_on_gpu(ArgmaxProgram, heads, geometry, context, order=order)
    want = decode_on_cpu(heads, geometry, context)
    assert got.class_map.dtype == want.class_map.dtype
    np.testing.assert_array_equal(got.class_map, want.class_map)
