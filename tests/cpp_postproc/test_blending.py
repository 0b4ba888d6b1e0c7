"""Class maps of several views: against the same in NumPy, and where one view must decide."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_resize

from segrt.runtime import postproc
from segrt.runtime.postproc import ScoreView, blend_map


def enlarged(scores: Any, size: tuple[int, int]) -> Any:
    return slow_resize.resize(scores.astype(np.float32), size).astype(np.float64)


def probabilities(scores: Any, *, shares: bool) -> Any:
    parts = np.maximum(scores, 0) if shares else np.exp(scores - scores.max(0))
    total = parts.sum(0)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)


def slow(views: Any, size: tuple[int, int], whole: Any, things: Any, *, shares: bool) -> Any:
    """Scores of every class, as the docstring of `blend_map` tells; where both agree, that class has 9."""
    near = sum(enlarged(scores, size) * rows[:, None] * columns for scores, rows, columns in views)
    if whole is None:
        return near
    far = enlarged(whole, size)
    agreed = np.where((near.argmax(0) == far.argmax(0))[None], np.eye(len(near))[near.argmax(0)].transpose(2, 0, 1), 0)
    tiles, around = probabilities(near, shares=shares), probabilities(far, shares=shares)
    means, things = (tiles + around) / 2, np.array(things)
    if things.any() and not things.all():
        stuff = around[~things].sum(0)
        rest = np.divide(1 - means[things].sum(0), stuff, out=np.zeros_like(stuff), where=stuff > 0)
        means[~things] = around[~things] * rest
    return means + 9 * agreed


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(2, 20),
    tiles=st.integers(1, 4),
    shares=st.booleans(),
    with_whole=st.booleans(),
    share_of_things=st.sampled_from([0.0, 0.5, 1.0]),
    half=st.booleans(),
)
def test_it_is_what_numpy_makes(
    seed: int, classes: int, tiles: int, shares: bool, with_whole: bool, share_of_things: float, half: bool
) -> None:
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 40)), int(rng.integers(1, 90)))

    def grid() -> Any:
        made = rng.normal(scale=2, size=(classes, *rng.integers(1, 12, 2))).astype(np.float16 if half else np.float32)
        return np.abs(made) if shares else made

    rows = rng.dirichlet(np.ones(tiles), size[0]).T.astype(np.float32)
    columns = rng.uniform(0.1, 1, (tiles, size[1])).astype(np.float32)
    views = [(grid(), rows[i] if tiles > 1 else np.ones(size[0], np.float32),
              columns[i] if tiles > 1 else np.ones(size[1], np.float32)) for i in range(tiles)]  # fmt: skip
    whole = grid() if with_whole else None
    things = (rng.uniform(size=classes) < share_of_things).tolist()
    got = blend_map(
        [ScoreView(scores, None, *((down, across) if tiles > 1 else ())) for scores, down, across in views],
        size,
        whole=None if whole is None else ScoreView(whole),
        things=things if with_whole else (),
        shares=shares,
    )
    wanted = slow(views, size, whole, things, shares=shares)
    chosen = np.take_along_axis(wanted, got[None].astype(np.int64), 0)[0]
    near = sum(enlarged(scores, size) * down[:, None] * across for scores, down, across in views)
    top = np.sort(near, 0)  # where the tiles' two highest are one but for rounding, either may be agreed on
    undecided = top[-1] - top[-2] < 1e-4
    if whole is not None:
        far = np.sort(enlarged(whole, size), 0)
        undecided |= far[-1] - far[-2] < 1e-4
    assert ((wanted.max(0) - chosen < 1e-4) | undecided).all()


def test_one_view_alone_is_an_argmax() -> None:
    logits = np.random.default_rng(3).normal(size=(300, 9, 7)).astype(np.float32)
    window = (0.5, 0.25, 8.0, 6.5)
    assert (
        blend_map([ScoreView(logits, window)], (50, 70)) == postproc.argmax_map(logits, (50, 70), window=window)
    ).all()


def constant(*values: float) -> Any:
    return np.array(values, np.float32).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("whole", "tile", "wanted"),
    [
        ((4, 0, 0), (0, 4, 0), 0),  # of stuff the whole knows better
        ((4, 3, 0), (0, 0, 6), 2),  # a small thing that the whole nearly misses
        ((6, 0, 0), (0, 0, 3), 0),  # a thing that the whole is sure is none
        ((0, 0, 6), (3, 0, 0), 2),  # a large thing of which a tile sees nothing but colour
    ],
)
def test_the_whole_tells_stuff_and_both_tell_things(whole: Any, tile: Any, wanted: int) -> None:
    classes = blend_map(
        [ScoreView(constant(*tile))], (3, 40), whole=ScoreView(constant(*whole)), things=(False, False, True)
    )
    assert (classes == wanted).all()


def test_what_cannot_be_blended_is_refused() -> None:
    view, other = ScoreView(constant(1, 2)), ScoreView(constant(1, 2, 3))
    for tiles, options, message in (
        ([], {}, "tiles must be 1 to 16 views"),
        ([view] * 17, {}, "tiles must be 1 to 16 views"),
        ([ScoreView(constant(1))], {}, "scores must have 2 to 65536 classes"),
        ([view, other], {}, "the same C in all views"),
        ([view], {"whole": other, "things": (True, False)}, "the same C in all views"),
        ([view], {"whole": view, "things": (True,)}, "things must have an entry for each class"),
        ([ScoreView(constant(1, 2), None, np.ones(3, np.float32))], {}, "weights must be as many"),
        ([ScoreView(constant(1, 2), (0, 0, 2, 1))], {}, "within the grid"),
    ):
        with pytest.raises(postproc.ArgumentError, match=message):
            blend_map(tiles, (4, 4), **options)
