"""Grouping around centres on the GPU against the CPU's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import decode_on_cpu, decode_on_gpu, labels

from segrt.runtime.decode.cuda.group_centers import GroupCentersProgram
from segrt.runtime.decode.cuda.program import UnfitHeadsError
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry

LABELS = labels("sstts")
WINDOWS = [(0, 0, 32, 48), (3, 0, 30, 48), (0, 8, 32, 40), (0, 0, 11, 48)]


def assert_same(got, want):
    assert got.segments == want.segments
    assert got.segment_ids.dtype == want.segment_ids.dtype
    np.testing.assert_array_equal(got.segment_ids, want.segment_ids)
    assert got.nonfinite_heads == want.nonfinite_heads


def compare(heads, geometry, rule, order=0, names=LABELS):
    context = Context(rule, names, threads=1)
    want = decode_on_cpu(heads, geometry, context)
    assert_same(decode_on_gpu(GroupCentersProgram, heads, geometry, context, order=order), want)
    return want


def scene(random, shape, classes=5, blobs=4):
    """Heads of some round things; heats of some of them are equal."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    logits = random.normal(0, 0.5, (classes, height, width)).astype(np.float32)
    heat, offsets = np.zeros(shape, np.float32), random.normal(0, 0.3, (2, height, width)).astype(np.float32)
    for number in range(blobs):
        row, column, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(1, 4)
        distance = np.hypot(rows - row, columns - column)
        logits[2 + number % 2] += 4 * (distance < radius)
        heat = np.maximum(heat, random.choice([0.5, 1.0, 1.25]) * np.exp(-((distance / 2) ** 2)))
        offsets[:, distance < radius] += np.stack([row - rows, column - columns])[:, distance < radius]
    return {"semantic_logits": logits, "center_heatmap": heat[None].astype(np.float32), "offsets": offsets}


@st.composite
def rules(draw):
    return GroupCenters(
        score_threshold=draw(st.sampled_from([0.0, 0.1, 0.4])),
        nms_kernel=draw(st.sampled_from([1, 3, 7, 41])),
        top_k=draw(st.sampled_from([1, 2, 3, 5, 200])),
        stuff_area_limit=draw(st.sampled_from([0, 1, 20, 300])),
        processed_size=draw(st.sampled_from([None, None, "network", (20, 30)])),
    )


@given(
    rule=rules(),
    grid=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    finer=st.integers(1, 2),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)) | st.just((32, 48)),
    window=st.sampled_from(WINDOWS),
    special=st.booleans(),
    halves=st.sampled_from([(), ("offsets",), ("semantic_logits", "center_heatmap", "offsets")]),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
@pytest.mark.parametrize("part", range(3))  # of the examples
@pytest.mark.filterwarnings("ignore:overflow")
def test_equals_the_cpu_bit_for_bit(rule, grid, finer, size, window, special, halves, seed, order, part):  # noqa: ARG001
    random = np.random.default_rng(seed)
    heads = scene(random, grid)
    heads["semantic_logits"] = np.repeat(heads["semantic_logits"], finer, axis=1)
    if special:
        for head in heads.values():
            strange = random.choice(np.array([0, 0.5, -1, np.nan, np.inf, -np.inf, 3e38], np.float32), head.shape)
            head[...] = np.where(random.random(head.shape) < random.choice([0, 0.05]), strange, head)
    heads = {role: head.astype(np.float16 if role in halves else np.float32) for role, head in heads.items()}
    compare(heads, Geometry(size, (32, 48), window), rule, order)


def test_finds_what_is_there():
    heads = scene(np.random.default_rng(1), (32, 48))
    result = compare(heads, Geometry((64, 96), (32, 48), WINDOWS[0]), GroupCenters(stuff_area_limit=50), order=2)
    assert sum(segment.isthing for segment in result.segments) >= 2
    assert any(not segment.isthing for segment in result.segments)


def test_a_flat_heat_is_peaks_everywhere():
    heads = scene(np.random.default_rng(2), (8, 12))
    heads["center_heatmap"][...] = 0.5
    geometry = Geometry((40, 50), (32, 48), WINDOWS[0])
    few = compare(heads, geometry, GroupCenters(top_k=2001, stuff_area_limit=0), order=3)
    assert max(segment.id for segment in few.segments) > 255
    none = compare(heads, geometry, GroupCenters(top_k=2000, stuff_area_limit=0))
    assert not any(segment.isthing for segment in none.segments)


def test_more_labels_than_two_bytes_hold_are_left_to_the_cpu():
    heads, geometry = scene(np.random.default_rng(3), (9, 9)), Geometry((270, 260), (32, 48), WINDOWS[1])
    most = 65_536 - len(LABELS) - 1  # and a label that stands for no group
    compare(heads, Geometry((24, 24), (32, 48), WINDOWS[1]), GroupCenters(top_k=1_000_000))  # fewer pixels than that
    compare(heads, geometry, GroupCenters(top_k=most + 1))
    with pytest.raises(UnfitHeadsError, match=r"decode\.top_k is 65532, and the kernels tell 65536 segments apart"):
        compare(heads, geometry, GroupCenters(top_k=most + 2))


@pytest.mark.parametrize("top_k", [2, 7, 8, 9, 40])
def test_equal_heats_at_the_limit_are_left_out_together(top_k):
    heads = scene(np.random.default_rng(4), (24, 24))
    heat = np.zeros((24, 24), np.float32)
    heat[::4, ::4] = np.random.default_rng(top_k).choice([0.3, 0.5, 0.7], (6, 6))
    heads["center_heatmap"] = heat[None]
    compare(heads, Geometry((24, 24), (24, 24), (0, 0, 24, 24)), GroupCenters(top_k=top_k, nms_kernel=3))


def test_many_classes():
    random = np.random.default_rng(5)
    heads = scene(random, (12, 12), classes=300)
    heads["semantic_logits"] += random.normal(0, 4, (300, 12, 12)).astype(np.float32)
    compare(heads, Geometry((50, 40), (32, 48), WINDOWS[0]), GroupCenters(stuff_area_limit=1), names=labels("st" * 150))
