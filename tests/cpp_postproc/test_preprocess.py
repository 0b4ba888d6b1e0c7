"""Preprocessing: one pass equals resizing, then normalising; antialiasing is Pillow's, cutting off scikit-image's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import slow_resize

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
    expected = slow_resize.resize_normalize(image[:, :, ::-1] if swap_rb else image, size, MEAN, STD, 1 / 255)
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


@settings(max_examples=40, deadline=None)
@given(
    source=st.integers(1, 300),
    target=st.integers(1, 80),
    cubic=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_antialias_taps_are_what_resizing_adds_up(source: int, target: int, cubic: bool, seed: int) -> None:
    row = np.random.default_rng(seed).integers(0, 256, (1, source, 3), dtype=np.uint8)
    first, count, weights = postproc.antialias_taps(source, target, cubic=cubic)
    assert weights.shape == (target, weights.shape[1])
    sums = [
        weights[i, : count[i]].astype(np.int64) @ row[0, first[i] : first[i] + count[i]].astype(np.int64)
        for i in range(target)
    ]
    filtered = np.clip((np.array(sums) + (1 << 21)) >> 22, 0, 255)
    np.testing.assert_array_equal(postproc.resize_antialias(row, (1, target), cubic=cubic)[0], filtered)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)),
    way=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    dtype=st.sampled_from([np.float32, np.float16]),
    threads=st.integers(1, 3),
    data=st.data(),
)
def test_resizing_by_way_of_the_networks_size_is_two_resizes(
    shape: Any, way: Any, size: Any, dtype: Any, threads: int, data: st.DataObject
) -> None:
    top, left = (data.draw(st.integers(0, side - 1)) for side in way)
    bottom, right = data.draw(st.integers(top + 1, way[0])), data.draw(st.integers(left + 1, way[1]))
    stack = np.random.default_rng(0).normal(size=shape).astype(dtype)
    between = slow_resize.resize(stack.astype(np.float32), way)[:, top:bottom, left:right]
    got = postproc.resize_by_way(stack, way, (top, left, bottom, right), size, threads=threads)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, slow_resize.resize(between, size), atol=2e-5)


def test_resizing_by_way_limits_what_is_not_finite() -> None:
    stack = np.array([[[np.nan, np.inf], [-np.inf, 1.0]]], np.float32)
    got = postproc.resize_by_way(stack, (2, 2), (0, 0, 2, 2), (2, 2))
    np.testing.assert_array_equal(got, np.array([[[-1e38, 1e38], [-1e38, 1.0]]], np.float32))


@pytest.mark.parametrize("cut", [(0, 0, 0, 4), (-1, 0, 4, 4), (0, 0, 5, 4), (0, 3, 4, 3)])
def test_resizing_by_way_refuses_a_cut_outside(cut: Any) -> None:
    with pytest.raises(postproc.ArgumentError, match=r"cut must be \(top, left, bottom, right\) inside \(4, 4\)"):
        postproc.resize_by_way(np.zeros((1, 2, 2), np.float32), (4, 4), cut, (8, 8))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_picture_is_copied_whole_or_in_some_of_its_rows(threads: int) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (90, 700, 3), np.uint8)
    for image in (whole, whole[3:80, 5:600], whole[::-1], whole[::2]):
        out = np.zeros(image.shape, np.uint8)
        postproc.copy_picture(image, out, threads=threads)
        np.testing.assert_array_equal(out, image)
        rows = np.array([0, 7, 7, 30, len(image) - 1], np.int32)
        some = np.zeros((5, *image.shape[1:]), np.uint8)
        postproc.copy_picture(image, some, rows=rows, threads=threads)
        np.testing.assert_array_equal(some, image[rows])


@pytest.mark.parametrize(
    ("image", "out", "rows", "message"),
    [
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 3), np.uint8), [0, 1, 2, 4], "rows must be rows of the image"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 3), np.uint8), [0, 1, -1, 3], "rows must be rows of the image"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((3, 5, 3), np.uint8), None, "out must be"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 3), np.float32), None, "out must be|incompatible"),
        (np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 4), np.uint8), None, "image must be"),
    ],
)
def test_what_cannot_be_copied_is_refused(image: Any, out: Any, rows: Any, message: str) -> None:
    numbers = None if rows is None else np.array(rows, np.int32)
    with pytest.raises((postproc.ArgumentError, TypeError), match=message):
        postproc.copy_picture(image, out, rows=numbers)


def resized_by_skimage(image: Any, size: tuple[int, int]) -> Any:
    """`skimage.transform.resize(order=1, mode="constant", preserve_range=True, anti_aliasing=False)`, cut off to bytes.

    Written from its steps: scipy's zoom of all three axes, then the picture's own range.
    """
    ndimage = pytest.importorskip("scipy.ndimage")
    factors = [1 / (source / target) for source, target in zip(image.shape, (*size, 3), strict=True)]
    floats = image.astype(np.float64)
    zoomed = ndimage.zoom(floats, factors, order=1, mode="grid-constant", cval=0, grid_mode=True)
    return np.clip(zoomed, floats.min(), floats.max()).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    source=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    levels=st.sampled_from([2, 5, 256]),
    threads=st.integers(1, 3),
)
def test_resizing_that_cuts_off_is_skimages_bit_for_bit(
    seed: int, source: Any, size: Any, levels: int, threads: int
) -> None:
    # Few levels make plain areas, where weights that add up to just below 1 cost a level.
    image = np.random.default_rng(seed).integers(256 - levels, 256, (*source, 3), dtype=np.uint8)
    np.testing.assert_array_equal(postproc.resize_floor(image, size, threads=threads), resized_by_skimage(image, size))


def test_resizing_that_cuts_off_takes_levels_from_plain_areas_as_skimage_does() -> None:
    image = np.full((427, 640, 3), 137, np.uint8)
    image[0, 0], image[1, 1] = 0, 255
    result = postproc.resize_floor(image, (342, 512))
    np.testing.assert_array_equal(result, resized_by_skimage(image, (342, 512)))
    assert {136, 137} <= set(np.unique(result))
    crop, out = image[5:45, 10:70], np.zeros((13, 21, 3), np.uint8)
    assert postproc.resize_floor(crop, (13, 21), out=out) is out
    np.testing.assert_array_equal(out, resized_by_skimage(crop, (13, 21)))
    with pytest.raises(postproc.ArgumentError, match="out must be contiguous uint8"):
        postproc.resize_floor(crop, (13, 20), out=out)
    with pytest.raises(postproc.ArgumentError, match="image must be uint8"):
        postproc.resize_floor(crop.astype(np.float32), (13, 20))  # type: ignore[arg-type]
