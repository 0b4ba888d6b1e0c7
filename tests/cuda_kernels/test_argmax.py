"""The class map's kernel against the core's."""

import ctypes

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda, emulated_kernels
from hypothesis import given
from hypothesis import strategies as st

from segrt.runtime import postproc
from segrt.runtime.inference.cuda.launching import axis_map, tiles


def argmax(cuda, logits, size, window):
    stream, heads, classes = cuda.stream(), cuda.alloc(logits.nbytes), np.zeros(size, np.uint8)
    out = cuda.alloc(classes.nbytes)
    function = emulated_kernels(cuda).function(
        "argmax", f"argmax_{'half' if logits.dtype == np.float16 else 'float'}_8"
    )
    rows = axis_map(logits.shape[1], window[0], size[0])
    columns = axis_map(logits.shape[2], window[1], size[1])
    cuda.upload(heads.address, logits, stream)
    cuda.launch(
        function,
        tiles(size[1], size[0], 32, 32),
        (32, 8, 1),
        [ctypes.c_void_p(heads.address), ctypes.c_int32(len(logits)), rows, columns, ctypes.c_void_p(out.address)],
        stream,
    )
    cuda.download(classes, out.address, stream)
    stream.synchronize()
    return classes


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(1, 12), st.integers(1, 12)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_core_bit_for_bit(dtype, shape, size, seed, order):
    random = np.random.default_rng(seed)
    logits = random.choice([-2.0, -1.0, 0.5, 1.0, 3.0, np.nan, np.inf], shape).astype(dtype)
    logits = np.where(random.random(shape) < 0.7, random.normal(size=shape).astype(dtype), logits)
    got = argmax(EmulatedCuda(order=order), logits, size, ((0, shape[1]), (0, shape[2])))
    want = postproc.argmax_map(logits, size, threads=1)
    np.testing.assert_array_equal(got, want)
