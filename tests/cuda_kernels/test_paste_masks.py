"""Pasted masks on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instance_scenes import ORDERS, SEEDS, SIZES, WINDOWS, assert_same, geometry_of, spoiled
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.cuda.paste_masks import PasteMasksProgram
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError


def compare(rule, heads, geometry, order=0):
    context = Context(rule, labels("t" * 4), threads=1)
    got = decode_on_gpu(PasteMasksProgram, heads, geometry, context, order=order)
    assert_same(got, decode_on_cpu(heads, geometry, context))
    return got


def scene(random, count, cells, dtype, ids):
    corner, length = random.uniform(-20, 60, (count, 2)), random.uniform(-2, 50, (count, 2))
    whole = random.random((count, 1)) < 0.2
    boxes = np.where(whole, [[0, 0, 48, 64]], np.concatenate([corner, corner + length], axis=1))
    masks = random.random((count, *cells)) if random.random() < 0.5 else random.choice([0, 0.5, 1], (count, *cells))
    return {
        "boxes": boxes.astype(dtype),
        "scores": random.choice([0.0, -0.0, 0.2, 0.5, 0.7, 0.9], count).astype(dtype),
        "class_ids": random.integers(0, 4, count).astype(ids),
        "masks": masks.astype(dtype),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(
    count=st.integers(1, 12),
    cells=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    size=SIZES,
    window=WINDOWS,
    ids=st.sampled_from([np.uint8, np.int32, np.int64, np.float32, np.float16]),
    rule=st.builds(
        PasteMasks,
        score_threshold=st.sampled_from([0.0, 0.2, 0.6]),
        mask_threshold=st.sampled_from([0.0, 0.3, 0.5]),
        masks_in=st.sampled_from(["box", "picture"]),
    ),
    seed=SEEDS,
    order=ORDERS,
)
def test_equals_the_cpu_bit_for_bit(dtype, count, cells, size, window, ids, rule, seed, order):
    random = np.random.default_rng(seed)
    heads = scene(random, count, cells, dtype, ids)
    for role in ("boxes", "scores", "masks"):
        heads[role] = spoiled(random, heads[role], 0.15)
    compare(rule, heads, geometry_of(size, window), order)


def test_masks_with_an_axis_of_one_are_taken():
    heads = scene(np.random.default_rng(1), 5, (1, 7, 7), np.float32, np.int64)
    assert len(compare(PasteMasks(score_threshold=0.0), heads, geometry_of((50, 40), (0, 0, 64, 48)))) == 5


def test_more_than_255_detections_keep_their_order():
    heads = scene(np.random.default_rng(2), 300, (3, 3), np.float16, np.int32)
    assert len(compare(PasteMasks(score_threshold=0.0), heads, geometry_of((33, 20), (0, 0, 64, 48)), order=3)) == 300


def test_class_ids_without_a_label_are_refused_as_on_the_cpu():
    heads = scene(np.random.default_rng(3), 5, (3, 3), np.float32, np.int64)
    heads["class_ids"] += 1
    context = Context(PasteMasks(score_threshold=0.0), labels("t" * 2), threads=1)
    geometry = geometry_of((33, 20), (0, 0, 64, 48))
    with pytest.raises(BundleError) as on_cpu:
        decode_on_cpu(heads, geometry, context)
    with pytest.raises(BundleError) as on_gpu:
        decode_on_gpu(PasteMasksProgram, heads, geometry, context)
    assert str(on_gpu.value) == str(on_cpu.value)
