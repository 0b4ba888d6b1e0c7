"""Colours under masks: counted as a slow loop counts them, and weighed against what is usual in their class."""

import math
import pickle
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from segrt.runtime.postproc import ArgumentError, MaskRuns, color_counts
from segrt.runtime.tracking.appearance import UsualColors, likelihood


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


def of_colors(**pixels: float) -> npt.NDArray[np.float64]:
    """Return counts, (1, 512), of pixels of a few colours."""
    counts = np.zeros((1, 512))
    for name, number in pixels.items():
        counts[0, ["pane", "red", "blue", "green"].index(name)] = number
    return counts


def usual_cars() -> npt.NDArray[np.float64]:
    """Return the colours of cars, half of each panes, of which many were seen, (1, 512)."""
    usual = UsualColors()
    for _ in range(100):
        for paint in ("red", "blue", "green"):
            usual.take_in(np.array([2]), of_colors(pane=50, **{paint: 50}))
    return usual.of(np.array([2]))


def likely(known: npt.NDArray[np.float64], seen: npt.NDArray[np.float64], weight: float = 1.0) -> float:
    return float(likelihood(known, usual_cars(), seen, weight)[0, 0])


def test_a_part_is_like_its_whole_and_not_like_another() -> None:
    red, part, blue = of_colors(pane=200, red=200), of_colors(red=30), of_colors(pane=200, blue=200)
    assert likely(red, part) > 2
    assert likely(red, red) > likely(red, part)
    assert likely(blue, part) < 0.5
    assert likely(blue, red) < 0.5
    assert likely(red, of_colors()) == 1  # nothing seen, or nothing known, says nothing
    assert likely(of_colors(), red) == pytest.approx(1)


def test_what_all_have_says_little() -> None:
    red = of_colors(pane=200, red=200)
    assert likely(red, of_colors(pane=40)) == pytest.approx(1, abs=0.15)
    assert likely(red, of_colors(red=40)) > 2


def test_few_pixels_say_little_and_many_no_more_than_some() -> None:
    red = of_colors(pane=500, red=500)
    grades = [likely(red, of_colors(blue=number)) for number in (1, 16, 64, 256)]
    assert 1 > grades[0] > grades[1] > grades[2] > grades[3]
    assert likely(red, of_colors(blue=256)) == likely(red, of_colors(blue=1000))
    sliver = of_colors(red=4)
    assert likely(sliver, of_colors(blue=256)) > grades[1]  # little is known of it


def test_likelihoods_are_those_of_the_formula() -> None:
    rng = np.random.default_rng(5)
    known, seen = rng.integers(0, 9, (3, 512)).astype(float), rng.integers(0, 9, (4, 512)).astype(float)
    usual = rng.uniform(0.1, 1, (3, 512))
    usual /= usual.sum(axis=1, keepdims=True)
    got = likelihood(known, usual, seen, 0.5)
    for i, j in product(range(3), range(4)):
        mean = 0.0
        for color in range(512):
            own = (known[i, color] + 32 * usual[i, color]) / (known[i].sum() + 32)
            mixed = 0.7 * own + 0.3 * usual[i, color]
            mean += seen[j, color] * math.log(mixed / usual[i, color]) / seen[j].sum()
        number = min(known[i].sum(), seen[j].sum(), 256)
        assert got[i, j] == pytest.approx(math.exp(0.5 * (0.47 + 0.18 * number**0.5) * mean))
    assert likelihood(known, usual, seen, 0.0).tolist() == np.ones((3, 4)).tolist()


def test_usual_colours_are_those_of_the_class_and_of_late() -> None:
    usual = UsualColors()
    assert usual.of(np.array([7]))[0] == pytest.approx(np.full(512, 1 / 512))
    usual.take_in(np.array([2, 7]), np.concatenate((of_colors(red=900), of_colors(blue=3))))
    cars, dogs = pickle.loads(pickle.dumps(usual)).of(np.array([2, 7]))
    assert cars[1] == dogs[2] == pytest.approx(1.02 / (1 + 512 * 0.02))
    for color, last in (("red", 9000), ("blue", 9000)):
        for _ in range(last // 100):
            usual.take_in(np.full(100, 2), np.tile(of_colors(**{color: 5}), (100, 1)))
    cars = usual.of(np.array([2]))[0]
    assert cars.sum() == pytest.approx(1)
    assert cars[2] > 4 * cars[1] > 0
    assert usual.of(np.zeros(0, np.intp)).shape == (0, 512)


def test_masks_outside_the_picture_are_refused() -> None:
    masks = MaskRuns(np.array([[0, 2, 5]], np.int32), np.array([0, 1]))
    assert color_counts(np.zeros((1, 5, 3), np.uint8), masks, 512).sum() == pytest.approx(3)
    with pytest.raises(ArgumentError, match="masks must lie within the image"):
        color_counts(np.zeros((1, 4, 3), np.uint8), masks, 512)
    with pytest.raises(ArgumentError, match="image must be uint8"):
        color_counts(np.zeros((1, 5, 4), np.uint8), masks, 512)
