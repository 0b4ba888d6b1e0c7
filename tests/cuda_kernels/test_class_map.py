"""A network's own class map on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.class_map import ClassMap
from segrt.runtime.decode.cuda.class_map import ClassMapProgram
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry

WINDOWS = [(0, 0, 64, 48), (3, 0, 60.5, 48), (0, 8, 64, 40)]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64])
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    window=st.sampled_from(WINDOWS),
    count=st.sampled_from([1, 5, 127, 255, 256, 300]),
    void=st.sampled_from([None, 0, 3, 255, -1]),
    wrong=st.sampled_from([0.0, 0.0, 0.01]),
    with_channel=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_cpu_and_refuses_what_it_refuses(
    dtype, shape, size, window, count, void, wrong, with_channel, seed, order
):
    random = np.random.default_rng(seed)
    grid = random.integers(0, min(count, np.iinfo(dtype).max + 1), shape).astype(dtype)
    if void is not None and np.iinfo(dtype).min <= void <= np.iinfo(dtype).max:
        grid[random.random(shape) < 0.2] = void
    bad = random.random(shape) < wrong
    grid[bad] = random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, int(bad.sum()), dtype)
    heads = {"class_map": grid[None] if with_channel else grid}
    geometry = Geometry(size, (64, 48), window)
    context = Context(ClassMap(void), labels("s" * count), threads=1)
    got = outcome(lambda: decode_on_gpu(ClassMapProgram, heads, geometry, context, order=order))
    want = outcome(lambda: decode_on_cpu(heads, geometry, context))
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def outcome(decode):
    """Return the class map, or what was said against it."""
    try:
        return decode().class_map
    except BundleError as error:
        return np.array(str(error))


def test_an_id_beside_the_picture_is_nobodys_business():
    grid = np.zeros((8, 6), np.int64)
    grid[0], grid[4, 2] = 77, 1
    heads = {"class_map": grid}
    geometry = Geometry((10, 12), (64, 48), (16, 0, 48, 48))
    context = Context(ClassMap(), labels("ss"), threads=1)
    got = decode_on_gpu(ClassMapProgram, heads, geometry, context)
    np.testing.assert_array_equal(got.class_map, decode_on_cpu(heads, geometry, context).class_map)
    assert got.class_map.any()
