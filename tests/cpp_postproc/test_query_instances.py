"""Instance masks from queries, as run lengths."""

from typing import Any

import numpy as np
import pytest
from coco_codes import pycocotools_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_boxes, slow_query_instances, slow_resize
from scenes import available_kernels, heads_of_kind, kernels, query_heads

from segrt.runtime import postproc

SIZE = (90, 130)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("weigh", [True, False])
def test_query_instances_equal_the_reference(activation: Any, weigh: bool) -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(1), 12, 4, 23, 31)
    found = slow_query_instances.query_instances(
        class_logits, mask_logits, SIZE, top_k=20, activation=activation, weigh_by_mask=weigh
    )
    result = postproc.query_instances_rle(
        class_logits, mask_logits, SIZE, top_k=20, activation=activation, weigh_by_mask=weigh
    )
    assert len(found) > 5
    np.testing.assert_allclose(result.scores, [score for _, score, _ in found], rtol=1e-5)
    assert result.class_ids.tolist() == [class_id for class_id, _, _ in found]
    assert result.rles == pycocotools_codes([mask for _, _, mask in found])
    for box, (_, _, mask) in zip(result.boxes, found, strict=True):
        x, y, width, height = slow_boxes.box_of(mask)
        assert box.tolist() == [x, y, x + width, y + height]


def test_query_instances_leave_out_what_is_not_above_the_threshold() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(1), 12, 4, 23, 31)
    every = postproc.query_instances_rle(class_logits, mask_logits, SIZE)
    limit = float(every.scores[3])
    some = postproc.query_instances_rle(class_logits, mask_logits, SIZE, score_threshold=limit)
    assert some.scores.tolist() == every.scores[:3].tolist()
    assert len(postproc.query_instances_rle(class_logits, mask_logits, SIZE, top_k=0).rles) == 0
    assert len(postproc.query_instances_rle(class_logits, mask_logits - 99, SIZE).rles) == 0
    assert len(postproc.query_instances_rle(class_logits[:0], mask_logits[:0], SIZE).rles) == 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 150)),
    kind=st.sampled_from(["smooth", "noisy", "ties", "nonfinite", "half"]),
    window=st.booleans(),
)
def test_every_kernel_finds_the_same_instances(seed: int, grid: Any, size: Any, kind: str, window: bool) -> None:
    rng = np.random.default_rng(seed)
    class_logits, mask_logits = heads_of_kind(rng, kind, 5, 2, grid)
    part = (0.0, 0.25, float(grid[0]), grid[1] - 0.25) if window else None
    results = []
    for name in available_kernels():
        report = postproc.Report()
        with kernels(name):
            found = postproc.query_instances_rle(class_logits, mask_logits, size, window=part, report=report)
        results.append((found.rles, found.scores.tolist(), found.boxes.tolist(), report.nonfinite))
    assert all(result == results[0] for result in results)
    codes, decoded = results[0][0], postproc.decode_rle(results[0][0])
    assert codes == (pycocotools_codes(decoded) if codes else [])
    if kind in ("smooth", "noisy", "ties"):
        large = slow_resize.resize(mask_logits, size, part) > 0
        assert {mask.tobytes() for mask in decoded} <= {mask.tobytes() for mask in large}


def test_query_masks_go_on_beyond_the_grid_with_its_edge_cells() -> None:
    classes = np.array([[9.0]], np.float32)
    masks = np.full((1, 3, 3), -1, np.float32)
    masks[0, :, 2] = 1e-3
    found = postproc.query_instances_rle(classes, masks, (30, 30), activation="sigmoid")
    mask = postproc.decode_rle(found.rles)[0]
    assert mask[:, 25:].all()
    assert not mask[:, :24].any()
