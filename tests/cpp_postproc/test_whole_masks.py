"""Instance masks that networks give whole, enlarged and cut."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_resize
from scenes import available_kernels, kernels

from segrt.runtime import postproc


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 150)),
    threshold=st.sampled_from([0.5, 0.0, 0.9]),
    kind=st.sampled_from(["float", "half", "nonfinite"]),
    window=st.booleans(),
)
def test_masks_of_the_whole_picture_are_enlarged_and_cut(
    seed: int, grid: Any, size: Any, threshold: float, kind: str, window: bool
) -> None:
    rng = np.random.default_rng(seed)
    masks = slow_resize.resize(rng.uniform(size=(4, grid[0] // 3 + 1, grid[1] // 3 + 1)).astype(np.float32), grid)
    masks = masks.astype(np.float16) if kind == "half" else masks
    if kind == "nonfinite":
        masks[rng.uniform(size=masks.shape) < 0.1] = np.nan
    part = (0.0, 0.25, float(grid[0]), grid[1] - 0.25) if window else None
    report = postproc.Report()
    with kernels("scalar"):
        expected = postproc.whole_masks_rle(masks, size, threshold=threshold, window=part, report=report)
    assert report.nonfinite == int(np.isnan(masks).sum())
    for name in available_kernels():
        with kernels(name):
            codes = postproc.whole_masks_rle(masks, size, threshold=threshold, window=part, threads=2)
        assert codes == expected, name
    if kind != "nonfinite":
        large = slow_resize.resize(masks.astype(np.float32), size, part) > threshold
        assert (postproc.decode_rle(expected) != large).sum() == 0
