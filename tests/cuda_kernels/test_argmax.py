"""The class map on the GPU against the CPU's."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.cuda.argmax import ArgmaxProgram
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry


def scores_of_regions(random, shape, dtype):
    """Return scores as a network has them: a class or two stand out in each region, so that bounds decide."""
    noise = random.normal(size=shape) * random.choice([0.1, 1.0, 3.0])
    noise[random.integers(shape[0]), : shape[1] // 2] += 6
    noise[random.integers(shape[0]), :, : shape[2] // 2] += 6
    return noise.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(
    shape=st.tuples(
        st.integers(2, 9) | st.sampled_from([40, 270]), st.integers(1, 12), st.integers(1, 12) | st.just(24)
    ),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    window=st.sampled_from([(0, 0, 64, 48), (3, 0, 60.5, 48), (0, 8, 64, 40)]),
    aligned=st.booleans(),
    processed=st.sampled_from([msgspec.UNSET, "network", (20, 17)]),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_cpu_bit_for_bit(dtype, shape, size, window, aligned, processed, seed, order):
    random = np.random.default_rng(seed)
    special = random.choice([-2.0, -1.0, 0.5, 1.0, 3.0, np.nan, np.inf], shape).astype(dtype)
    share = random.choice([0.0, 0.001, 0.3, 1.0])
    heads = {
        "semantic_logits": np.where(random.random(shape) < share, special, scores_of_regions(random, shape, dtype))
    }
    geometry = Geometry(size, (64, 48), window)
    context = Context(
        Argmax(aligned) if processed is msgspec.UNSET else Argmax(processed_size=processed),
        labels("s" * shape[0]),
        threads=1,
    )
    got = decode_on_gpu(ArgmaxProgram, heads, geometry, context, order=order)
    want = decode_on_cpu(heads, geometry, context)
    assert got.class_map.dtype == want.class_map.dtype
    np.testing.assert_array_equal(got.class_map, want.class_map)
    assert got.nonfinite_heads == want.nonfinite_heads


@pytest.mark.parametrize("window", [(0, 0, 64, 48), (16, 0, 48, 48), (0, 8, 64, 40)])
@pytest.mark.parametrize("at", [(0, 0), (2, 3), (7, 5)])
def test_values_count_that_the_cpu_reads(window, at):
    logits = np.zeros((3, 8, 6), np.float32)
    logits[1, at[0], at[1]] = np.nan
    heads, geometry = {"semantic_logits": logits}, Geometry((20, 30), (64, 48), window)
    context = Context(Argmax(), labels("sss"), threads=1)
    want = decode_on_cpu(heads, geometry, context).nonfinite_heads
    assert decode_on_gpu(ArgmaxProgram, heads, geometry, context).nonfinite_heads == want


def test_a_grid_much_finer_than_the_picture_is_read_where_it_lies():
    random = np.random.default_rng(5)
    heads = {"semantic_logits": random.normal(size=(3, 150, 140)).astype(np.float32)}
    geometry, context = Geometry((37, 40), (150, 140), (0, 0, 150, 140)), Context(Argmax(), labels("sss"), threads=1)
    got, want = (
        decode(heads, geometry, context).class_map
        for decode in (lambda *a: decode_on_gpu(ArgmaxProgram, *a), decode_on_cpu)
    )
    np.testing.assert_array_equal(got, want)
