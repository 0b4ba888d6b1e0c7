"""Masks of prototypes on the GPU against the CPU's."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instance_scenes import ORDERS, SEEDS, SIZES, WINDOWS, assert_same, blobs, geometry_of, spoiled
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.cuda.prototype_masks import PrototypeMasksProgram
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry

WHOLE = (0, 0, 64, 48)


def compare(rule, heads, geometry, classes, order=0):
    context = Context(rule, labels("t" * classes), threads=1)
    got = decode_on_gpu(PrototypeMasksProgram, heads, geometry, context, order=order)
    assert_same(got, decode_on_cpu(heads, geometry, context))
    return got


def scene(random, rows, anchors, classes, prototypes, dtype):
    corner, length = random.uniform(-10, 50, (2, anchors)), random.uniform(-2, 50, (2, anchors))
    # Boxes that are nearly the same as others overlap.
    twins = random.integers(0, anchors, anchors)
    corner, length = corner[:, twins] + random.uniform(-1, 1, (2, anchors)), length[:, twins]
    scores = random.choice([0.1, 0.3, 0.5, 0.5, 0.8], (1 if rows == "detections" else classes, anchors))
    box = [corner, corner + length] if rows == "detections" else [corner + length / 2, length]
    extra = {
        "yolo": [scores],
        "yolov5": [random.choice([0.2, 0.6, 1.0], (1, anchors)), scores],
        "detections": [scores, random.integers(0, classes, (1, anchors))],
    }[rows]
    coefficients = random.normal(size=(prototypes, anchors))
    if random.random() < 0.5:
        coefficients = random.choice([-1.0, 0.0, 1.0], (prototypes, anchors))
    return np.concatenate([*box, *extra, coefficients]).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(
    anchors=st.integers(1, 40),
    classes=st.integers(1, 4),
    prototypes=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    size=SIZES,
    window=WINDOWS,
    rule=st.builds(
        PrototypeMasks,
        rows=st.sampled_from(["yolo", "yolov5", "detections"]),
        score_threshold=st.sampled_from([0.0, 0.2, 0.3]),
        iou_threshold=st.sampled_from([0.0, 0.3, 0.7]),
        max_detections=st.sampled_from([1, 5, 300]),
        compat=st.booleans(),
        agnostic=st.sampled_from([msgspec.UNSET, True]),
    ),
    transposed=st.booleans(),
    seed=SEEDS,
    order=ORDERS,
)
def test_equals_the_cpu_bit_for_bit(
    dtype, anchors, classes, prototypes, grid, size, window, rule, transposed, seed, order
):
    random = np.random.default_rng(seed)
    table = spoiled(random, scene(random, rule.rows, anchors, classes, prototypes, dtype), 0.3)
    if rule.rows == "detections":
        table[5] = random.integers(0, classes, anchors)
    heads = {
        # A square table is read as it stands: its axes cannot be told apart.
        "predictions": np.ascontiguousarray(table.T) if transposed and len(set(table.shape)) == 2 else table,
        "prototypes": spoiled(random, blobs(random, (prototypes, *grid), dtype, noise=float(random.integers(2))), 0.2),
    }
    compare(rule, heads, geometry_of(size, window), classes, order)


@pytest.mark.parametrize(("grid", "network"), [((16, 12), (64, 48)), ((16, 16), (48, 48))])
@pytest.mark.parametrize("window", [(4, 0, 44, 48), (3, 5, 41, 43)])
def test_padding_is_cut_out_between_two_steps(grid, network, window):
    random = np.random.default_rng(4)
    # Between -1 and 2, a third of the way, rounding alone decides.
    heads = {
        "predictions": scene(random, "yolo", 30, 2, 4, np.float32),
        "prototypes": random.choice([-1.0, 2.0], (4, *grid)).astype(np.float32),
    }
    heads["predictions"][6:] = np.eye(4)[:, random.integers(0, 4, 30)]
    assert len(compare(PrototypeMasks(), heads, Geometry((120, 152), network, window), 2)) > 3


def test_several_chunks_of_candidates_suppress_each_other_in_order():
    random = np.random.default_rng(5)
    heads = {
        "predictions": scene(random, "yolo", 900, 2, 3, np.float32),
        "prototypes": random.normal(size=(3, 6, 5)).astype(np.float32),
    }
    result = compare(
        PrototypeMasks(iou_threshold=0.5, max_detections=60), heads, geometry_of((30, 40), WHOLE), 2, order=2
    )
    assert 10 < len(result) < 60


def test_more_than_255_detections_keep_their_order():
    random = np.random.default_rng(6)
    heads = {
        "predictions": scene(random, "detections", 440, 4, 3, np.float16),
        "prototypes": np.abs(random.normal(size=(3, 6, 5))).astype(np.float16),
    }
    heads["predictions"][6:] = 1
    result = compare(
        PrototypeMasks(rows="detections", max_detections=330), heads, geometry_of((30, 40), WHOLE), 4, order=3
    )
    assert len(result) > 255


def test_class_ids_without_a_label_are_refused_as_on_the_cpu():
    random = np.random.default_rng(7)
    heads = {
        "predictions": scene(random, "detections", 9, 3, 3, np.float32),
        "prototypes": np.ones((3, 6, 5), np.float32),
    }
    heads["predictions"][5] += 3
    context, geometry = Context(PrototypeMasks(rows="detections"), labels("ttt"), threads=1), geometry_of((9, 9), WHOLE)
    with pytest.raises(BundleError) as on_cpu:
        decode_on_cpu(heads, geometry, context)
    with pytest.raises(BundleError) as on_gpu:
        decode_on_gpu(PrototypeMasksProgram, heads, geometry, context)
    assert str(on_gpu.value) == str(on_cpu.value)
