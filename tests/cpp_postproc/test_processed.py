"""Masks, sums and means at the processed size: where the frameworks take them, and the same with every kernel."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_resize, slow_scores
from scenes import available_kernels, heads_of_kind, kernels, query_heads

from segrt.runtime import postproc

PROCESSED, SIZE = (96, 160), (133, 201)
WINDOWS: tuple[tuple[float, float, float, float] | None, ...] = (None, (0, 0, 17.5, 40), (3.25, 6.5, 20, 31.75))


def enlarged(stack: Any, window: Any, size: tuple[int, int] = SIZE) -> tuple[Any, Any]:
    """Return `stack` at the processed size, the part in the window alone, and that at the picture's size."""
    whole = slow_resize.resize(stack, PROCESSED)
    scale = np.array([PROCESSED[0] / stack.shape[1], PROCESSED[1] / stack.shape[2]] * 2)
    top, left, bottom, right = np.array(window or (0, 0, *stack.shape[1:])) * scale
    first, last = (int(top), int(left)), (int(np.ceil(bottom)), int(np.ceil(right)))
    part = whole[:, first[0] : last[0], first[1] : last[1]]
    shown = (top - first[0], left - first[1], bottom - first[0], right - first[1])
    return part, slow_resize.resize(part, size, shown)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("threads", [1, 2])
def test_logits_are_enlarged_twice(window: Any, threads: int) -> None:
    logits = np.random.default_rng(0).normal(size=(9, 24, 40)).astype(np.float32)
    _, twice = enlarged(logits, window)
    found = postproc.argmax_map(logits, SIZE, window=window, processed_size=PROCESSED, threads=threads)
    assert np.array_equal(found, twice.argmax(0))
    assert np.mean(found != postproc.argmax_map(logits, SIZE, window=window)) > 0.005


@pytest.mark.parametrize("window", WINDOWS)
def test_classes_of_queries_are_added_up_at_the_processed_size(window: Any) -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(1), 20, 7, 24, 40, noise=3.0)
    part, _ = enlarged(mask_logits, window)
    scores = np.einsum("qc,qhw->chw", slow_scores.softmax(class_logits)[:, :-1], slow_scores.sigmoid(part))
    top, left, bottom, right = np.array(window or (0, 0, 24, 40)) * 4
    shown = (top - int(top), left - int(left), bottom - int(top), right - int(left))
    expected = slow_resize.resize(scores.astype(np.float32), SIZE, shown).argmax(0)
    found = postproc.query_semantic(class_logits, mask_logits, SIZE, window=window, processed_size=PROCESSED)
    assert (found != expected).sum() <= 2  # sums are rounded in another order
    on_the_grid = postproc.query_semantic(class_logits, mask_logits, SIZE, window=window)
    assert (found != on_the_grid).sum() > 50


@pytest.mark.parametrize("score_at", ["grid", "processed", "picture"])
def test_the_mean_probability_is_taken_where_it_is_said(score_at: Any) -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(2), 15, 4, 24, 40, noise=1.0)
    processed, picture = enlarged(mask_logits, None)
    at = {"grid": mask_logits, "processed": processed, "picture": picture}[score_at]
    quality = (slow_scores.sigmoid(at) * (at > 0)).sum((1, 2), dtype=np.float64) / ((at > 0).sum((1, 2)) + 1e-6)
    expected = np.sort((slow_scores.softmax(class_logits)[:, :-1] * quality[:, None]).ravel())[::-1]
    found = postproc.query_instances_rle(class_logits, mask_logits, SIZE, processed_size=PROCESSED, score_at=score_at)
    np.testing.assert_allclose(found.scores, expected[: len(found.scores)], rtol=2e-6)
    masks = {mask.tobytes() for mask in postproc.decode_rle(found.rles)}
    assert masks == {mask.tobytes() for mask in picture > 0 if mask.any()}


def test_scores_at_the_picture_need_no_processed_size() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(3), 15, 4, 24, 40)
    at = slow_resize.resize(mask_logits, SIZE)
    quality = (slow_scores.sigmoid(at) * (at > 0)).sum((1, 2), dtype=np.float64) / ((at > 0).sum((1, 2)) + 1e-6)
    expected = np.sort((slow_scores.softmax(class_logits)[:, :-1] * quality[:, None]).ravel())[::-1]
    found = postproc.query_instances_rle(class_logits, mask_logits, SIZE, score_at="picture")
    np.testing.assert_allclose(found.scores, expected[: len(found.scores)], rtol=2e-6)
    on_the_grid = postproc.query_instances_rle(class_logits, mask_logits, SIZE)
    assert np.abs(found.scores[:5] - on_the_grid.scores[:5]).max() > 1e-3


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 20), st.integers(1, 40)),
    processed=st.tuples(st.integers(1, 60), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 150)),
    kind=st.sampled_from(["smooth", "noisy", "ties", "nonfinite", "half"]),
    window=st.booleans(),
    score_at=st.sampled_from(["grid", "processed", "picture"]),
)
def test_every_kernel_and_thread_count_gives_the_same(
    seed: int, grid: Any, processed: Any, size: Any, kind: str, window: bool, score_at: Any
) -> None:
    rng = np.random.default_rng(seed)
    class_logits, mask_logits = heads_of_kind(rng, kind, 6, 5, grid)
    part = (0.0, 0.25, float(grid[0]), grid[1] - 0.25) if window else None
    given = SimpleNamespace(window=part, processed_size=processed)
    results = []
    for name in available_kernels():
        for threads in (1, 3):
            report = postproc.Report()
            options = {**vars(given), "threads": threads, "report": report}
            with kernels(name):
                found = postproc.query_instances_rle(class_logits, mask_logits, size, score_at=score_at, **options)
                semantic = postproc.query_semantic(class_logits, mask_logits, size, **options)
                classes = postproc.argmax_map(mask_logits, size, **options)
            results.append(
                (found.rles, found.scores.tobytes(), semantic.tobytes(), classes.tobytes(), report.nonfinite)
            )
    assert all(result == results[0] for result in results)
    if kind in ("smooth", "noisy", "ties") and part is None:
        twice = slow_resize.resize(slow_resize.resize(mask_logits, processed), size)
        assert np.array_equal(np.frombuffer(results[0][3], np.uint8).reshape(size), twice.argmax(0))
        decoded = postproc.decode_rle(results[0][0]) if results[0][0] else []
        assert {mask.tobytes() for mask in decoded} <= {mask.tobytes() for mask in twice > 0}


def test_values_that_are_not_finite_are_counted_once() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(5), 6, 4, 24, 40)
    mask_logits[2, 5, 7] = np.nan
    mask_logits[3, 20, 1:4] = np.inf
    for threads in (1, 2):
        report, other = postproc.Report(), postproc.Report()
        options: dict[str, Any] = {"processed_size": PROCESSED, "threads": threads}
        postproc.query_semantic(class_logits, mask_logits, SIZE, **options, report=report)
        postproc.argmax_map(mask_logits, SIZE, **options, report=other)
        assert (report.nonfinite, other.nonfinite) == (4, 4)


def test_what_cannot_be_is_refused() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(6), 4, 2, 8, 8)
    with pytest.raises(postproc.ArgumentError, match="needs a processed_size"):
        postproc.query_instances_rle(class_logits, mask_logits, SIZE, score_at="processed")
    with pytest.raises(postproc.ArgumentError, match="score_at must be"):
        postproc.query_instances_rle(class_logits, mask_logits, SIZE, score_at="mask")  # type: ignore[arg-type]
    for size in ((0, 4), (4,), (1 << 21, 4)):
        with pytest.raises(postproc.ArgumentError, match="processed_size must be"):
            postproc.query_semantic(class_logits, mask_logits, SIZE, processed_size=size)  # type: ignore[arg-type]
