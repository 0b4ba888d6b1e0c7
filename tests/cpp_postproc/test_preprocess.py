"""Preprocessing: one pass equals interpolation followed by normalisation; antialiasing equals Pillow's."""

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segrt.runtime import _postproc, postproc

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    source=st.tuples(st.integers(1, 60), st.integers(1, 70)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 70)),
    layout=st.sampled_from(["NCHW", "NHWC", "CHW", "HWC"]),
    swap_rb=st.booleans(),
    threads=st.integers(1, 3),
)
def test_equals_the_reference(seed: int, source: Any, size: Any, layout: Any, swap_rb: bool, threads: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*source, 3), dtype=np.uint8)
    result = postproc.resize_normalize(
        image, size, mean=MEAN, std=STD, scale=1 / 255, swap_rb=swap_rb, layout=layout, threads=threads
    )
    expected = reference.resize_normalize(image[:, :, ::-1] if swap_rb else image, size, MEAN, STD, 1 / 255)
    planes = result[0] if layout.startswith("N") else result
    np.testing.assert_allclose(planes if "CHW" in layout else planes.transpose(2, 0, 1), expected, atol=2e-5)


def test_equal_size_keeps_every_value() -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    assert np.array_equal(postproc.resize_normalize(image, (31, 45), layout="HWC"), image.astype(np.float32))


def test_writes_into_a_part_of_a_letterboxed_input() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    slot = np.full((1, 3, 64, 64), 0.5, np.float32)
    part = slot[:, :, 8:56, 2:62]
    assert postproc.resize_normalize(image, (48, 60), out=part) is part
    assert np.array_equal(part, postproc.resize_normalize(image, (48, 60)))
    assert (slot[:, :, :8] == 0.5).all()
    assert (slot[..., 62:] == 0.5).all()


def test_cropped_pictures_are_read_in_place() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    crop = image[5:45, 10:70]
    expected = postproc.resize_normalize(np.ascontiguousarray(crop), (33, 37))
    assert np.array_equal(postproc.resize_normalize(crop, (33, 37)), expected)
    flipped = postproc.resize_normalize(np.ascontiguousarray(crop[:, ::-1]), (33, 37))
    assert np.array_equal(postproc.resize_normalize(crop[:, ::-1], (33, 37)), flipped)


@pytest.mark.parametrize("std", [(0, 1, 1), (1, 1), (np.nan, 1, 1)])
def test_unusable_std_is_refused(std: Any) -> None:
    with pytest.raises(postproc.ArgumentError, match="std"):
        postproc.resize_normalize(np.zeros((2, 2, 3), np.uint8), (2, 2), std=std)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    source=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    cubic=st.booleans(),
    extreme=st.booleans(),
    threads=st.integers(1, 3),
)
def test_antialiased_resizing_is_pillows_bit_for_bit(
    seed: int, source: Any, size: Any, cubic: bool, extreme: bool, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*source, 3), dtype=np.uint8)
    if extreme:  # black and white alone make bicubic weights overshoot
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    kind = Image.Resampling.BICUBIC if cubic else Image.Resampling.BILINEAR
    # One way after the other: x first, whatever Pillow's version prefers.
    wide = Image.fromarray(image).resize((size[1], source[0]), kind)
    expected = np.asarray(wide.resize((size[1], size[0]), kind))
    np.testing.assert_array_equal(postproc.resize_antialias(image, size, cubic=cubic, threads=threads), expected)


@pytest.mark.parametrize("name", ["scalar", "baseline", "avx2", "avx512"])
def test_antialiasing_is_the_same_with_every_kernel(name: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (301, 217, 3), dtype=np.uint8)
    expected = postproc.resize_antialias(image, (97, 130), cubic=True)
    try:
        _postproc.choose_kernels(name)
    except ValueError:
        pytest.skip(f"this processor or build has no {name} kernels")
    try:
        np.testing.assert_array_equal(postproc.resize_antialias(image, (97, 130), cubic=True), expected)
    finally:
        _postproc.choose_kernels("auto")


def test_antialiased_resizing_reads_crops_and_writes_into_out() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    crop, out = image[5:45, 10:70], np.zeros((13, 21, 3), np.uint8)
    assert postproc.resize_antialias(crop, (13, 21), out=out) is out
    np.testing.assert_array_equal(out, postproc.resize_antialias(crop.copy(), (13, 21)))
    np.testing.assert_array_equal(postproc.resize_antialias(crop, (40, 60)), crop)
    with pytest.raises(postproc.ArgumentError, match="out must be contiguous uint8"):
        postproc.resize_antialias(crop, (13, 20), out=out)
    with pytest.raises(postproc.ArgumentError, match="image must be uint8"):
        postproc.resize_antialias(crop.astype(np.float32), (13, 20))  # type: ignore[arg-type]
