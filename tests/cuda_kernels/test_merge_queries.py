"""The merge of queries on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.cuda.merge_queries import MergeQueriesProgram
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry

RULES = ("maskformer", "mask2former", "eomt", "detr")
WINDOWS = [(0, 0, 64, 48), (3, 0, 60.5, 48), (0, 8, 64, 40)]


def scene(random, queries, classes, grid, dtype):
    """Return heads: some queries are sure of a class, and of a part of the picture."""
    class_logits = random.normal(size=(queries, classes + 1)) * random.choice([0.5, 2.0])
    class_logits[np.arange(queries), random.integers(0, classes + 1, queries)] += random.choice([0, 4, 8], queries)
    masks = random.normal(size=(queries, *grid)) * random.choice([0.2, 2.0]) - random.choice([0.0, 3.0])
    for mask in masks:
        top, left = random.integers(grid[0]), random.integers(grid[1])
        mask[top : top + grid[0] // 2 + 1, left : left + grid[1] // 2 + 1] += 6
    if random.random() < 0.3:
        masks = np.round(masks)  # ties
    if random.random() < 0.3:
        masks[random.random(masks.shape) < 0.01] = random.choice([np.nan, np.inf, -np.inf])
    if random.random() < 0.2:
        class_logits[random.integers(queries), random.integers(classes + 1)] = random.choice([np.nan, np.inf, -np.inf])
    return {"class_logits": class_logits.astype(dtype), "mask_logits": masks.astype(dtype)}


def assert_same(heads, geometry, context, order=0):
    got = decode_on_gpu(MergeQueriesProgram, heads, geometry, context, order=order)
    want = decode_on_cpu(heads, geometry, context)
    assert got.segments == want.segments
    np.testing.assert_array_equal(got.segment_ids, want.segment_ids)
    assert got.nonfinite_heads == want.nonfinite_heads
    return want


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("rule", "compat"), [*((rule, False) for rule in RULES), ("detr", True)])
@given(
    queries=st.integers(1, 40),
    classes=st.integers(1, 40),
    grid=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    window=st.sampled_from(WINDOWS),
    thresholds=st.tuples(st.sampled_from([0.0, 0.3, 0.5, 0.99]), st.sampled_from([0.0, 0.5, 0.8])),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_cpu_bit_for_bit(dtype, rule, compat, queries, classes, grid, size, window, thresholds, seed, order):
    heads = scene(np.random.default_rng(seed), queries, classes, grid, dtype)
    decode = MergeQueries(rule, *thresholds, compat)
    context = Context(decode, labels(("ts" * classes)[:classes]), threads=1)
    assert_same(heads, Geometry(size, (64, 48), window), context, order)


@pytest.mark.parametrize(("rule", "queries"), [("eomt", 255), ("maskformer", 256), ("mask2former", 257), ("detr", 300)])
def test_more_kept_queries_than_a_byte_counts(rule, queries):
    random = np.random.default_rng(queries)
    class_logits = np.array([[9, 9, 9, 0]] * queries, np.float32)
    class_logits[np.arange(queries), random.integers(0, 3, queries)] += 5 + random.random(queries)
    masks = random.normal(size=(queries, 18, 18)).astype(np.float32) - 8
    masks.reshape(queries, -1)[np.arange(queries), np.arange(queries)] = 9  # each its own cell
    heads = {"class_logits": class_logits, "mask_logits": masks}
    context = Context(MergeQueries(rule, overlap_threshold=0.0), labels("ttt"), threads=1)
    want = assert_same(heads, Geometry((54, 54), (36, 36), (0, 0, 36, 36)), context)
    assert len(want.segments) > 0.9 * queries


def test_detr_gives_small_segments_away_round_by_round():
    # Query 2 has one pixel, and query 1 four more once that is gone: three rounds.
    masks = np.zeros((4, 8, 8), np.float32)
    masks[0], masks[1, 0, :4], masks[2, 0, 4], masks[3, 4:] = 1, 2, 2, 2
    logits = np.full((4, 5), -5, np.float32)
    logits[np.arange(4), np.arange(4)] = 5
    heads = {"class_logits": logits, "mask_logits": masks}
    context = Context(MergeQueries("detr"), labels("ttst"), threads=1)
    want = assert_same(heads, Geometry((8, 8), (8, 8), (0, 0, 8, 8)), context)
    assert [segment.class_id for segment in want.segments] == [0, 3]


def test_detr_leaves_a_picture_empty_where_every_segment_is_small():
    heads = {"class_logits": np.array([[9, 0], [9, 0]], np.float32), "mask_logits": np.ones((2, 2, 2), np.float32)}
    context = Context(MergeQueries("detr"), labels("t"), threads=1)
    assert not assert_same(heads, Geometry((2, 2), (2, 2), (0, 0, 2, 2)), context).segments


def test_without_a_confident_query_everything_is_void():
    heads = scene(np.random.default_rng(3), 5, 4, (6, 6), np.float32)
    heads["class_logits"][:, -1] = 50
    context = Context(MergeQueries(), labels("tsts"), threads=1)
    assert not assert_same(heads, Geometry((20, 30), (24, 36), (0, 0, 24, 36)), context).segments


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("at", [(0, 0), (3, 2), (7, 5)])
def test_values_count_that_the_cpu_reads(rule, at):
    heads = scene(np.random.default_rng(1), 4, 3, (8, 6), np.float32)
    heads["class_logits"] = np.eye(4, dtype=np.float32) * 9
    heads["mask_logits"] = np.zeros((4, 8, 6), np.float32)
    context = Context(MergeQueries(rule), labels("tst"), threads=1)
    for query in range(4):  # the last is "no object"
        bad = {name: head.copy() for name, head in heads.items()}
        bad["mask_logits"][query, at[0], at[1]] = np.inf
        assert_same(bad, Geometry((20, 30), (64, 48), (16, 0, 48, 48)), context)
