"""Instance masks from prototypes and coefficients, as run lengths: those of ultralytics, old and new."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_prototypes, slow_resize
from scenes import available_kernels, boxes_for, kernels

from segrt.runtime import postproc


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("compat", [False, True])
def test_prototype_masks_equal_the_reference(half: bool, compat: bool) -> None:
    rng = np.random.default_rng(0)
    kind = np.float16 if half else np.float32
    prototypes = rng.normal(size=(8, 40, 52)).astype(kind)
    coefficients = rng.normal(size=(12, 8)).astype(kind)
    boxes = boxes_for(rng, 12, (160, 208)).astype(kind)
    codes = postproc.prototype_masks_rle(prototypes, coefficients, boxes, (160, 208), threads=2, compat=compat)
    expected = slow_prototypes.prototype_mask_cut_first if compat else slow_prototypes.prototype_mask
    for code, weights, box in zip(codes, coefficients, boxes, strict=True):
        mask = expected(prototypes, weights, box.astype(np.float32), (160, 208))
        # The sum over prototypes is rounded in another order.
        assert (postproc.decode_rle([code])[0] != mask).sum() <= 3


@pytest.mark.parametrize("compat", [False, True])
def test_prototype_masks_in_a_window_are_those_of_the_whole_grid(compat: bool) -> None:
    rng = np.random.default_rng(4)
    prototypes = rng.normal(size=(6, 40, 52)).astype(np.float32)
    coefficients = rng.normal(size=(9, 6)).astype(np.float32)
    boxes = boxes_for(rng, 9, (160, 208))
    whole = postproc.prototype_masks_rle(prototypes, coefficients, boxes, (160, 208), compat=compat)
    # Rows 24 to 144 and columns 8 to 200 of the picture are cells 6 to 36 and 2 to 50.
    moved = boxes - np.array([8, 24, 8, 24], np.float32)
    part = postproc.prototype_masks_rle(
        prototypes, coefficients, moved, (120, 192), window=(6, 2, 36, 50), compat=compat
    )
    expected = postproc.decode_rle(whole)[:, 24:144, 8:200]
    np.testing.assert_array_equal(postproc.decode_rle(part), expected)
    assert expected.any(axis=(1, 2)).sum() > 5


def test_prototype_masks_of_boxes_without_cells_are_empty() -> None:
    prototypes = np.ones((1, 8, 8), np.float32)
    boxes = np.array([[-50, -50, -10, -10], [9, 9, 2, 2], [np.nan, 0, 8, 8], [0, 0, 64, 64]], np.float32)
    codes = postproc.prototype_masks_rle(prototypes, np.ones((4, 1), np.float32), boxes, (64, 64))
    assert [mask.sum() for mask in postproc.decode_rle(codes)] == [0, 0, 0, 64 * 64]


def prototype_scene(seed: int, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Any, Any, Any]:
    """Prototypes that change over some cells, coefficients and boxes of nine objects."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(6, grid[0] // 4 + 1, grid[1] // 4 + 1)).astype(np.float32)
    prototypes = slow_resize.resize(coarse, grid) + rng.normal(0, 0.1, (6, *grid)).astype(np.float32)
    return prototypes, rng.normal(size=(9, 6)).astype(np.float32), boxes_for(rng, 9, size)


def test_no_pixel_of_a_mask_lies_outside_its_box() -> None:
    prototypes = np.full((1, 20, 20), 0.1, np.float32)
    boxes = np.array([[10, 10, 30, 30], [13.5, 22.1, 40.9, 61]], np.float32)
    inside = postproc.prototype_masks_rle(prototypes, np.ones((2, 1), np.float32), boxes, (80, 80))
    assert postproc.measure_rle(inside)[0].tolist() == [20 * 20, 27 * 38]
    rows, columns = np.nonzero(postproc.decode_rle(inside)[1])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (23, 60, 14, 40)
    # A logit of 0 outside the box is a probability of 0.5: the whole blend up to the next cell's middle is above it.
    leaking = postproc.prototype_masks_rle(prototypes, np.ones((2, 1), np.float32), boxes, (80, 80), compat=True)
    assert postproc.measure_rle(leaking)[0].tolist() == [24 * 24, 32 * 44]


@pytest.mark.parametrize("window", [(40, 0, 120, 208), (6, 10, 154, 198), (3, 0, 158, 201)])
def test_padding_is_cut_away_before_a_part_is_enlarged(window: tuple[int, int, int, int]) -> None:
    size = (90, 121)
    prototypes, coefficients, boxes = prototype_scene(5, (40, 52), size)
    factor = next(factor for factor in (1, 2, 4) if not any(edge * factor % 4 for edge in window))
    top, left, bottom, right = (edge / 4 for edge in window)
    codes = postproc.prototype_masks_rle(
        prototypes,
        coefficients,
        boxes,
        size,
        window=(top, left, bottom, right),
        processed_size=(40 * factor, 52 * factor),
    )
    for code, weights, box in zip(codes, coefficients, boxes, strict=True):
        expected = slow_prototypes.prototype_mask_native(prototypes, weights, box, window, size)
        assert (postproc.decode_rle([code])[0] != expected).sum() <= 2
    blended = postproc.prototype_masks_rle(prototypes, coefficients, boxes, size, window=(top, left, bottom, right))
    assert blended != codes


def test_masks_are_those_of_ultralytics() -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("ultralytics.utils.ops", reason="ultralytics is not installed")
    for seed, source in enumerate([(160, 208), (90, 208), (333, 500), (375, 500), (77, 31)]):
        prototypes, coefficients, boxes = prototype_scene(seed, (40, 52), (160, 208))
        fit = min(160 / source[0], 208 / source[1])
        height, width = round(source[0] * fit), round(source[1] * fit)
        top, left = (160 - height) // 2, (208 - width) // 2
        window = (top, left, top + height, left + width)
        moved = ops.scale_boxes((160, 208), torch.from_numpy(boxes.copy()), source).numpy()
        expected = ops.process_mask_native(
            torch.from_numpy(prototypes), torch.from_numpy(coefficients), torch.from_numpy(moved), source
        ).numpy()
        factor = next(factor for factor in (1, 2, 4) if not any(edge * factor % 4 for edge in window))
        codes = postproc.prototype_masks_rle(
            prototypes,
            coefficients,
            moved,
            source,
            window=tuple(edge / 4 for edge in window),  # type: ignore[arg-type]
            processed_size=(40 * factor, 52 * factor),
        )
        assert (postproc.decode_rle(codes) != expected.astype(bool)).sum() <= 1, source


def test_masks_are_those_found_with_ultralytics() -> None:
    # By ultralytics 8.4.190's process_mask_native on these heads, in a letterboxed picture of 375 x 500 pixels.
    prototypes, coefficients, boxes = prototype_scene(3, (40, 52), (160, 208))
    scale = np.array([500 / 208, 375 / 156] * 2, np.float32)
    moved = np.clip((boxes - np.array([0, 2, 0, 2], np.float32)) * scale, 0, np.array([500, 375] * 2, np.float32))
    codes = postproc.prototype_masks_rle(
        prototypes, coefficients, moved, (375, 500), window=(0.5, 0, 39.5, 52), processed_size=(80, 104)
    )
    assert postproc.measure_rle(codes)[0].tolist() == [27256, 9516, 16451, 15735, 25075, 19326, 9101, 5540, 9198]
    digest = hashlib.sha256(b"".join(code["counts"] for code in codes)).hexdigest()
    assert digest == "8940be4d9c4bb89e149a3f2abcf74d7d4bb127562b9b4990df342cfff71e0c87"


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 150)),
    factor=st.tuples(st.integers(0, 4), st.integers(1, 3)),
    compat=st.booleans(),
)
def test_every_kernel_makes_the_same_masks_of_prototypes(
    seed: int, grid: Any, size: Any, factor: Any, compat: bool
) -> None:
    prototypes, coefficients, boxes = prototype_scene(seed, grid, size)
    enlarged = None if compat or factor[0] == 0 else (grid[0] * factor[0], grid[1] * factor[1])
    part = (grid[0] * 0.125, 0.0, float(grid[0]), grid[1] * 0.75)
    with kernels("scalar"):
        expected = postproc.prototype_masks_rle(
            prototypes, coefficients, boxes, size, window=part, processed_size=enlarged, compat=compat
        )
    for name in available_kernels():
        with kernels(name):
            codes = postproc.prototype_masks_rle(
                prototypes, coefficients, boxes, size, window=part, processed_size=enlarged, compat=compat, threads=2
            )
        assert codes == expected, name
