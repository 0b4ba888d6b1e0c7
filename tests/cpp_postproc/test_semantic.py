"""Class maps: argmax of interpolated logits, and of combined queries."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_class_maps
from scenes import available_kernels, kernels, query_heads, same_up_to

from segrt.runtime import postproc


@pytest.mark.parametrize("shape", [(21, 33, 33), (150, 20, 30), (2, 1, 1), (5, 40, 1)])
@pytest.mark.parametrize("size", [(1, 1), (130, 171), (17, 12)])
def test_argmax_equals_torch(shape: tuple[int, int, int], size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    large = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], size=size, mode="bilinear")
    result = postproc.argmax_map(logits, size)
    assert result.dtype == np.uint8
    assert same_up_to(result, large.argmax(1)[0].numpy())


@pytest.mark.parametrize("classes", [2, 255, 256, 257, 1000])
def test_the_smallest_type_holds_all_classes(classes: int) -> None:
    logits = np.random.default_rng(1).normal(size=(classes, 5, 4)).astype(np.float32)
    result = postproc.argmax_map(logits, (11, 13))
    assert result.dtype == (np.uint8 if classes <= 256 else np.uint16)
    assert np.array_equal(result, slow_class_maps.argmax_map(logits, (11, 13)))


def _scene(seed: int, shape: Any, kind: str, window: bool) -> tuple[Any, Any]:
    """Grids of one kind, and the part of them that is shown (None: all)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=shape).astype(np.float32)
    if kind == "smooth":
        logits = np.cumsum(np.cumsum(logits, 1), 2).astype(np.float32)
    if kind == "ties":
        logits = np.round(logits)
    if kind == "nonfinite":
        where = rng.uniform(size=shape) < 0.1
        logits[where] = rng.choice([np.nan, np.inf, -np.inf], int(where.sum()))
    if kind == "half":
        logits = logits.astype(np.float16)  # type: ignore[assignment]
    if kind == "strided":
        logits = np.repeat(logits, 2, axis=2)[::-1, :, ::2]
    part = None
    if window:
        height, width = shape[1:]
        edges = np.sort(rng.uniform(0, 1, (2, 2)), axis=0) * (height, width)
        part = (edges[0, 0], edges[0, 1], edges[1, 0] + 1e-3, edges[1, 1] + 1e-3)
        part = (part[0], part[1], min(part[2], height), min(part[3], width))
    return logits, part


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(2, 30), st.integers(1, 30), st.integers(1, 50)),
    size=st.tuples(st.integers(1, 80), st.integers(1, 200)),
    kind=st.sampled_from(["smooth", "noisy", "ties", "nonfinite", "half", "strided"]),
    window=st.booleans(),
    threads=st.integers(1, 3),
)
def test_every_kernel_equals_the_reference(
    seed: int, shape: Any, size: Any, kind: str, window: bool, threads: int
) -> None:
    logits, part = _scene(seed, shape, kind, window)
    expected = slow_class_maps.argmax_map(logits, size, part)
    counts = set()
    for name in available_kernels():
        report = postproc.Report()
        with kernels(name):
            result = postproc.argmax_map(logits, size, threads=threads, window=part, report=report)
        assert np.array_equal(result, expected), name
        counts.add(report.nonfinite)
    assert len(counts) == 1
    if not window and size[0] >= shape[1]:
        assert counts == {int((~np.isfinite(logits)).sum())}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 70)),
    size=st.tuples(st.integers(1, 80), st.integers(1, 200)),
    kind=st.sampled_from(["smooth", "noisy", "ties", "nonfinite", "half", "strided"]),
    threshold=st.sampled_from([0.0, -0.7, 1.0, float("inf"), float("-inf")]),
    values=st.sampled_from([(1, 0), (0, 255), (0, 1), (7, 7)]),
    window=st.booleans(),
    threads=st.integers(1, 3),
)
def test_every_kernel_cuts_as_the_reference(
    seed: int, grid: Any, size: Any, kind: str, threshold: float, values: Any, window: bool, threads: int
) -> None:
    scores, part = _scene(seed, (1, *grid), kind, window)
    expected = np.where(slow_class_maps.binary_map(scores, size, np.clip(threshold, -3e38, 3e38), window=part), *values)
    counts = set()
    for name in available_kernels():
        report = postproc.Report()
        with kernels(name):
            result = postproc.binary_map(
                scores, size, threshold=threshold, values=values, threads=threads, window=part, report=report
            )
        assert np.array_equal(result, expected), name
        counts.add(report.nonfinite)
    assert len(counts) == 1
    if not window and size[0] >= grid[0]:
        assert counts == {int((~np.isfinite(scores)).sum())}


@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize(("grid", "size"), [((33, 40), (130, 171)), ((64, 64), (17, 12)), ((1, 5), (9, 9))])
def test_a_cut_equals_torch(probabilities: bool, grid: tuple[int, int], size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(5).normal(size=(1, *grid)).astype(np.float32)
    tensor = torch.from_numpy(logits)[None]
    if probabilities:
        enlarged = torch.nn.functional.interpolate(tensor.sigmoid(), size=size, mode="bilinear") > 0.4
    else:
        enlarged = torch.nn.functional.interpolate(tensor, size=size, mode="bilinear").sigmoid() > 0.4
    threshold = 0.4 if probabilities else float(np.log(0.4 / 0.6))
    result = postproc.binary_map(logits, size, threshold=threshold, probabilities=probabilities)
    assert same_up_to(result, enlarged[0, 0].numpy(), per_million=50)


def test_of_one_class_there_is_no_argmax() -> None:
    with pytest.raises(postproc.ArgumentError, match=r"2 to 65536 classes, got shape \(1, 4, 4\); one channel is for"):
        postproc.argmax_map(np.zeros((1, 4, 4), np.float32), (4, 4))
    with pytest.raises(postproc.ArgumentError, match="2 to 65536 classes beside no object"):
        postproc.query_semantic(np.zeros((5, 2), np.float32), np.zeros((5, 4, 4), np.float32), (4, 4))
    with pytest.raises(postproc.ArgumentError, match="several channels are for argmax_map"):
        postproc.binary_map(np.zeros((2, 4, 4), np.float32), (4, 4))


def test_a_window_shows_its_part_of_the_grid() -> None:
    logits = np.zeros((2, 4, 8), np.float32)
    logits[1, :, 4:] = 1
    left = postproc.argmax_map(logits, (20, 20), window=(0, 0, 4, 3))
    right = postproc.argmax_map(logits, (20, 20), window=(0, 5, 4, 8))
    assert not left.any()
    assert right.all()


@pytest.mark.parametrize("threads", [1, 2])
def test_query_semantic_equals_transformers(threads: int) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    class_logits, mask_logits = query_heads(np.random.default_rng(2), 20, 6, 30, 41)
    outputs = SimpleNamespace(
        class_queries_logits=torch.from_numpy(class_logits)[None],
        masks_queries_logits=torch.from_numpy(mask_logits)[None],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        processor = transformers.MaskFormerImageProcessor()
        expected = processor.post_process_semantic_segmentation(outputs, target_sizes=[(211, 305)])[0].numpy()
    result = postproc.query_semantic(class_logits, mask_logits, (211, 305), threads=threads)
    # The sums over queries are rounded in another order: where two classes tie, a pixel may differ.
    assert same_up_to(result, expected, per_million=100)


def test_query_semantic_picks_a_class_whose_score_is_highest() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(4), 9, 5, 12, 9)
    result = postproc.query_semantic(class_logits, mask_logits, (50, 37))
    scores = slow_class_maps.query_semantic(class_logits, mask_logits, (50, 37))
    chosen = np.take_along_axis(scores, result[None].astype(np.int64), 0)[0]
    np.testing.assert_allclose(chosen, scores.max(0), rtol=1e-5)
