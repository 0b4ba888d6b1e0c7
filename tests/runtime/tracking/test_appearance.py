"""Colours under masks: counted as a slow loop counts them, and compared so that a part is like its whole."""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from segrt.runtime.postproc import ArgumentError, MaskRuns, color_counts
from segrt.runtime.tracking.appearance import alike


def slow_counts(image: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    counts = np.zeros((8, 8, 8))
    for pixel in image[mask].astype(float):
        levels = np.clip(pixel * 8 / 255 - 0.5, 0, 7)
        for corner in product(range(8), repeat=3):
            counts[corner] += np.prod(np.maximum(0, 1 - np.abs(levels - corner)))
    return counts.ravel()


def test_each_pixel_counts_for_the_colours_around_its_own() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    image[0, :4] = 0, 255, 128
    ids = rng.integers(0, 3, (7, 9), dtype=np.uint8)
    counts = color_counts(image, MaskRuns.of_map(ids, [2, 77, 1]), 512)
    for row, value in zip(counts, (2, 77, 1), strict=True):
        np.testing.assert_allclose(row, slow_counts(image, ids == value), atol=1e-9)
    turned = MaskRuns.of_map(np.ascontiguousarray(ids.T), [2, 77, 1])
    by_columns = MaskRuns(turned.runs, turned.starts, by_columns=True)
    np.testing.assert_allclose(color_counts(image, by_columns, 512), counts, atol=1e-9)


def test_of_what_is_large_a_part_stands_for_all() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, 40:] = 255
    counts = color_counts(image, MaskRuns.of_map(np.ones((60, 80), np.uint8), [1]), 512)[0]
    assert counts.sum() == pytest.approx(4800)
    assert counts[0] == pytest.approx(2400, rel=0.02)
    assert counts[-1] == pytest.approx(2400, rel=0.02)


def test_a_part_is_like_its_whole_and_not_like_another() -> None:
    """A car of red paint and grey panes of which the paint alone comes out; blue paint with the same panes."""
    noise = np.random.default_rng(1).integers(-12, 13, (20, 30, 3))
    image = (np.full((20, 30, 3), 90) + noise).astype(np.uint8)
    ids = np.zeros((20, 30), np.uint8)
    for value, (left, width, paint) in enumerate(
        ((0, 10, (30, 30, 200)), (10, 3, (30, 30, 200)), (13, 10, (200, 30, 30))), 1
    ):
        ids[:, left : left + width] = value
        image[10:, left : left + width] = np.array(paint) + noise[10:, left : left + width]
    ids[:10, 10:13] = 0  # of the second, the part, the panes are covered
    red, part, blue, nothing = color_counts(image, MaskRuns.of_map(ids, [1, 2, 3, 9]), 512)
    pairs = np.array([red, red, blue, red, red]), np.array([red, part, part, blue, nothing])
    same, of_part, of_other, with_panes, unseen = alike(*pairs).tolist()
    assert (same, unseen) == (1, 1)
    assert of_part > 0.9
    assert of_other == pytest.approx(1 - 30 / 64)  # of 30 pixels: they are few
    assert 0.3 < with_panes < 0.7


def test_few_pixels_say_little() -> None:
    red, blue = np.zeros((2, 512))
    red[0], blue[511] = 1000, 1000
    few = np.array([[0.0], [1], [16], [64], [1000]]) * blue / 1000
    assert alike(np.tile(red, (5, 1)), few).tolist() == [1, 1 - 1 / 64, 0.75, 0, 0]


def test_masks_outside_the_picture_are_refused() -> None:
    masks = MaskRuns(np.array([[0, 2, 5]], np.int32), np.array([0, 1]))
    assert color_counts(np.zeros((1, 5, 3), np.uint8), masks, 512).sum() == pytest.approx(3)
    with pytest.raises(ArgumentError, match="masks must lie within the image"):
        color_counts(np.zeros((1, 4, 3), np.uint8), masks, 512)
    with pytest.raises(ArgumentError, match="image must be uint8"):
        color_counts(np.zeros((1, 5, 4), np.uint8), masks, 512)
