"""Instances from queries on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instance_scenes import ORDERS, SEEDS, SIZES, WINDOWS, assert_same, blobs, geometry_of, spoiled
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.cuda import mask_runs
from segrt.runtime.decode.cuda.query_instances import QueryInstancesProgram
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry


def compare(rule, heads, geometry, order=0):
    classes = heads["class_logits"].shape[1] - (rule.activation == "softmax")
    context = Context(rule, labels("t" * classes), threads=1)
    got = decode_on_gpu(QueryInstancesProgram, heads, geometry, context, order=order)
    assert_same(got, decode_on_cpu(heads, geometry, context))
    return got


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(
    queries=st.integers(1, 7),
    classes=st.integers(1, 40),
    grid=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    size=SIZES,
    window=WINDOWS,
    rule=st.builds(
        QueryInstances,
        activation=st.sampled_from(["softmax", "sigmoid"]),
        top_k=st.sampled_from([1, 3, 20]),
        score_threshold=st.sampled_from([0.0, 0.1, 0.3]),
        processed_size=st.sampled_from([None, "network", (20, 31)]),
    ),
    noise=st.sampled_from([0.0, 0.5, 4.0]),
    seed=SEEDS,
    order=ORDERS,
)
def test_equals_the_cpu_bit_for_bit(dtype, queries, classes, grid, size, window, rule, noise, seed, order):
    random = np.random.default_rng(seed)
    columns = classes + (rule.activation == "softmax")
    class_logits = random.choice([-3.0, -1.0, 0.0, 1.0, 2.5], (queries, columns)).astype(dtype)
    heads = {
        "class_logits": spoiled(random, class_logits, 0.2),
        "mask_logits": spoiled(random, blobs(random, (queries, *grid), dtype, noise=noise), 0.2),
    }
    places = ["grid", "picture"] + (["processed"] if rule.processed_size else [])
    rule = rule.replaced(score_at=places[int(random.integers(len(places)))])
    compare(rule, heads, geometry_of(size, window), order)


@pytest.mark.parametrize("score_at", ["grid", "processed", "picture"])
def test_scores_of_large_masks_are_equal_to_the_bit(score_at):
    random = np.random.default_rng(3)
    heads = {
        "class_logits": random.normal(size=(4, 6)).astype(np.float32),
        "mask_logits": blobs(random, (4, 40, 48), np.float32, noise=2.0),
    }
    rule = QueryInstances(score_threshold=0.0, processed_size=(100, 120), score_at=score_at)
    result = compare(rule, heads, Geometry((270, 330), (160, 192), (0, 3.5, 160, 180)))
    assert len(result) > 10


def test_more_than_255_instances_keep_their_order():
    random = np.random.default_rng(1)
    heads = {
        "class_logits": random.choice([0.0, 0.5, 1.0], (90, 5)).astype(np.float32),
        "mask_logits": random.normal(size=(90, 4, 4)).astype(np.float32),
    }
    rule = QueryInstances(activation="sigmoid", top_k=300, score_threshold=0.0)
    assert len(compare(rule, heads, geometry_of((20, 17), (0, 0, 64, 48)), order=2)) > 255


def test_nothing_above_the_threshold_is_no_instance():
    heads = {"class_logits": np.zeros((3, 4), np.float32), "mask_logits": np.ones((3, 5, 5), np.float32)}
    assert len(compare(QueryInstances(score_threshold=0.9), heads, geometry_of((20, 17), (0, 0, 64, 48)))) == 0


@pytest.mark.parametrize("room", ["_CHANGES_A_COLUMN", "_BYTES_A_CHANGE", "_BYTES_AT_ONCE"])
def test_codes_beyond_the_memory_that_was_set_aside_are_complete(monkeypatch, room):
    monkeypatch.setattr(mask_runs, room, 1)
    if room == "_CHANGES_A_COLUMN":
        monkeypatch.setattr(mask_runs, "_MOST_PLACES", 100)
    random = np.random.default_rng(2)
    heads = {
        "class_logits": random.normal(size=(6, 3)).astype(np.float32),
        "mask_logits": random.normal(size=(6, 50, 60)).astype(np.float32),
    }
    rule = QueryInstances(activation="sigmoid", score_threshold=0.0)
    compare(rule, heads, geometry_of((90, 130), (0, 0, 64, 48)))
