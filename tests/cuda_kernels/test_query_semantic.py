"""Class maps from queries on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.cuda import query_semantic
from segrt.runtime.decode.cuda.query_semantic import QuerySemanticProgram
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("processed", [None, "network", (19, 27)])
@given(
    queries=st.integers(1, 40),
    classes=st.integers(2, 20) | st.sampled_from([64, 70, 130]),
    grid=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    window=st.sampled_from([(0, 0, 64, 48), (3, 0, 60.5, 48), (0, 8, 64, 40)]),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_cpu_bit_for_bit(dtype, processed, queries, classes, grid, size, window, seed, order):
    random = np.random.default_rng(seed)
    class_logits = random.normal(size=(queries, classes + 1)) * random.choice([0.1, 3.0])
    masks = random.normal(size=(queries, *grid)) * random.choice([0.1, 5.0])
    if random.random() < 0.3:
        class_logits, masks = np.round(class_logits), np.round(masks)  # ties
    for head in (class_logits, masks):
        if random.random() < 0.2:
            head.reshape(-1)[random.integers(head.size)] = random.choice([np.nan, np.inf, -np.inf])
    heads = {"class_logits": class_logits.astype(dtype), "mask_logits": masks.astype(dtype)}
    geometry = Geometry(size, (64, 48), window)
    context = Context(QuerySemantic(processed), labels("s" * classes), threads=1)
    got = decode_on_gpu(QuerySemanticProgram, heads, geometry, context, order=order)
    want = decode_on_cpu(heads, geometry, context)
    assert got.class_map.dtype == want.class_map.dtype
    np.testing.assert_array_equal(got.class_map, want.class_map)
    assert got.nonfinite_heads == want.nonfinite_heads


@pytest.mark.parametrize("processed", [None, (90, 60), (8, 6)])
def test_bands_leave_no_seam(monkeypatch, processed):
    monkeypatch.setattr(query_semantic, "_BAND_BYTES", 3000)
    random = np.random.default_rng(4)
    heads = {
        "class_logits": random.normal(size=(12, 6)).astype(np.float32),
        "mask_logits": random.normal(size=(12, 30, 20)).astype(np.float32),
    }
    geometry = Geometry((170, 40), (60, 40), (2, 0, 60, 40))
    context = Context(QuerySemantic(processed), labels("sssss"), threads=1)
    got = decode_on_gpu(QuerySemanticProgram, heads, geometry, context)
    np.testing.assert_array_equal(got.class_map, decode_on_cpu(heads, geometry, context).class_map)


def test_more_classes_than_a_byte_counts():
    random = np.random.default_rng(6)
    heads = {
        "class_logits": random.normal(size=(300, 301)).astype(np.float32),
        "mask_logits": random.normal(size=(300, 5, 6)).astype(np.float32) * 9,
    }
    heads["class_logits"][np.arange(300), np.arange(300)] += 9
    geometry = Geometry((20, 30), (20, 24), (0, 0, 20, 24))
    context = Context(QuerySemantic(), labels("s" * 300), threads=1)
    got = decode_on_gpu(QuerySemanticProgram, heads, geometry, context)
    want = decode_on_cpu(heads, geometry, context)
    assert want.class_map.max() > 255
    np.testing.assert_array_equal(got.class_map, want.class_map)


@pytest.mark.parametrize("processed", [None, (16, 12)])
@pytest.mark.parametrize("at", [(0, 0), (3, 2), (7, 5)])
def test_values_count_that_the_cpu_reads(processed, at):
    heads = {"class_logits": np.zeros((2, 3), np.float32), "mask_logits": np.zeros((2, 8, 6), np.float32)}
    heads["mask_logits"][1, at[0], at[1]] = np.nan
    geometry = Geometry((20, 30), (64, 48), (16, 0, 48, 48))
    context = Context(QuerySemantic(processed), labels("ss"), threads=1)
    got = decode_on_gpu(QuerySemanticProgram, heads, geometry, context)
    assert got.nonfinite_heads == decode_on_cpu(heads, geometry, context).nonfinite_heads
