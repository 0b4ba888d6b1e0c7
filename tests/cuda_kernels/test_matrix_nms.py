"""SOLO's masks on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instance_scenes import ORDERS, SEEDS, SIZES, WINDOWS, assert_same, blobs, geometry_of, spoiled
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.cuda.matrix_nms import MatrixNmsProgram
from segrt.runtime.decode.matrix_nms import MatrixNms
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError

WHOLE = (0, 0, 64, 48)


def compare(rule, heads, geometry, order=0):
    context = Context(rule, labels("ttt"), threads=1)
    got = decode_on_gpu(MatrixNmsProgram, heads, geometry, context, order=order)
    assert_same(got, decode_on_cpu(heads, geometry, context))
    return got


def scene(random, count, grid, dtype, ids):
    masks = 1 / (1 + np.exp(-blobs(random, (count, *grid), np.float32, noise=float(random.integers(2)))))
    # Masks that are nearly the same as others overlap.
    masks = np.clip(masks[random.integers(0, count, count)] + random.normal(0, 0.05, (count, *grid)), 0, 1)
    return {
        "scores": random.choice([0.05, 0.3, 0.6, 0.6, 0.9], count).astype(dtype),
        "class_ids": random.integers(0, 3, count).astype(ids),
        "least_areas": random.choice([0, 2, 8], count).astype(dtype),
        "mask_probabilities": masks.astype(dtype),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(
    count=st.integers(1, 14),
    stride=st.sampled_from([3, 4, 8]),
    size=SIZES,
    window=WINDOWS,
    ids=st.sampled_from([np.uint8, np.int32, np.int64, np.float32]),
    rule=st.builds(
        MatrixNms,
        candidate_threshold=st.sampled_from([0.0, 0.1, 0.4]),
        mask_threshold=st.sampled_from([0.0, 0.3, 0.5]),
        filter_threshold=st.sampled_from([0.0, 0.05]),
        score_threshold=st.sampled_from([0.0, 0.2]),
        nms_pre=st.sampled_from([1, 5, 500]),
        max_instances=st.sampled_from([1, 3, 100]),
        kernel=st.sampled_from(["gaussian", "linear"]),
        sigma=st.sampled_from([0.5, 2.0]),
    ),
    seed=SEEDS,
    order=ORDERS,
)
def test_equals_the_cpu_bit_for_bit(dtype, count, stride, size, window, ids, rule, seed, order):
    random = np.random.default_rng(seed)
    grid = (-(-64 // stride), -(-48 // stride))
    heads = scene(random, count, grid, dtype, ids)
    for role in ("least_areas", "mask_probabilities"):
        heads[role] = spoiled(random, heads[role], 0.15)
    finite = np.where(np.isinf(heads["mask_probabilities"]), np.nan, heads["mask_probabilities"])
    heads["mask_probabilities"] = finite.astype(dtype)  # an infinite probability is an infinite score
    compare(rule.replaced(stride=stride), heads, geometry_of(size, window), order)


def test_a_mask_without_a_cell_is_no_object_even_where_no_area_is_asked_for():
    heads = scene(np.random.default_rng(4), 3, (8, 6), np.float32, np.int32)
    heads["scores"][:], heads["least_areas"][:] = 0.9, -np.inf
    heads["mask_probabilities"][1] = 0
    rule = MatrixNms(stride=8, score_threshold=0.0, filter_threshold=0.0)
    assert len(compare(rule, heads, geometry_of((64, 48), WHOLE))) < 3


def test_more_than_255_masks_keep_their_order():
    heads = scene(np.random.default_rng(2), 262, (8, 6), np.float16, np.int32)
    heads["scores"][:] = np.linspace(0.2, 1, 262)
    heads["least_areas"][:] = 0
    rule = MatrixNms(score_threshold=0.0, filter_threshold=0.0, max_instances=300, mask_threshold=0.01, stride=8)
    assert len(compare(rule, heads, geometry_of((21, 18), WHOLE), order=3)) > 255


def test_class_ids_without_a_label_are_refused_as_on_the_cpu():
    heads = scene(np.random.default_rng(3), 5, (16, 12), np.float32, np.int64)
    heads["class_ids"] += 3
    context, geometry = Context(MatrixNms(), labels("ttt"), threads=1), geometry_of((20, 20), WHOLE)
    with pytest.raises(BundleError) as on_cpu:
        decode_on_cpu(heads, geometry, context)
    with pytest.raises(BundleError) as on_gpu:
        decode_on_gpu(MatrixNmsProgram, heads, geometry, context)
    assert str(on_gpu.value) == str(on_cpu.value)
