"""The core paints, pixel for pixel, what a chain of whole-picture steps by OpenCV and NumPy paints."""

import cv2
import numpy as np
import pytest

from segrt.runtime.draw.fills import _LINE_OPACITY, Index, Pen, _object_tables, paint_outlined, paint_tinted
from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import rle


def tinted_slowly(image, index, colors, alpha, pen):
    table, clear = np.zeros((256, 1, 3), np.uint8), np.full(256, 255, np.uint8)
    for value, color in colors.items():
        table[value, 0], clear[value] = color[::-1], 0
    painted = cv2.addWeighted(image, 1 - alpha, cv2.applyColorMap(index, table), alpha, 0)
    cv2.copyTo(image, cv2.LUT(index, clear), painted)
    reach = max(2, round(pen.line))
    kernel = np.ones((reach, reach), np.uint8)
    soft = cv2.blur(cv2.compare(cv2.dilate(index, kernel), cv2.erode(index, kernel), cv2.CMP_NE), (3, 3))
    weight = (soft.astype(np.uint16) * _LINE_OPACITY >> 8)[..., None]
    return np.where(soft[..., None] > 0, (painted * (255 - weight) + 255 * weight) >> 8, painted).astype(np.uint8)


def outlined_slowly(canvas, masks, colors, alpha, pen):
    for mask, color in zip(masks, colors, strict=True):
        soft = cv2.GaussianBlur(mask * np.uint8(255), (0, 0), pen.sigma, borderType=cv2.BORDER_REPLICATE)
        light, keep = _object_tables(color, round(alpha, 3), round(pen.line, 2), round(pen.sigma, 2))[..., :3]
        canvas = cv2.add(cv2.multiply(canvas, keep[soft], scale=1 / 255), light[soft])
    return canvas


def scene(size, seed):
    rng = np.random.default_rng(seed)
    ids = np.zeros(size, np.int32)
    for number in range(1, 8):
        centre = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        axes = (int(rng.integers(1, size[1] // 2 + 2)), int(rng.integers(1, size[0] // 2 + 2)))
        cv2.ellipse(ids, centre, axes, int(rng.integers(180)), 0, 360, number, -1)
    ids[rng.random(size) < 0.02] = 0
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8), ids


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 9), (50, 131), (120, 200)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_regions_and_their_lines_are_those_of_whole_picture_steps(size, dtype):
    for seed, (alpha, scale) in enumerate([(0.42, 1.0), (0.25, 3.0), (1.0, 0.5)]):
        image, ids = scene(size, seed)
        pen = Pen.for_size(*size, scale)
        values = {1: 1, 2: 2, 3: 2, 5: 9, 6: 0}
        colors = {1: (90, 160, 220), 2: (110, 90, 150), 9: (255, 0, 1)}
        index = np.zeros(size, np.uint8)
        for number, value in values.items():
            index[ids == number] = value
        painted = paint_tinted(image, Index(ids.astype(dtype), values), colors, alpha, pen)
        np.testing.assert_array_equal(painted, tinted_slowly(image, index, colors, alpha, pen))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 9), (50, 131), (120, 200)])
def test_objects_are_those_of_whole_picture_steps(size):
    for seed, scale in enumerate([1.0, 3.0, 0.5]):
        image, ids = scene(size, seed)
        pen = Pen.for_size(*size, scale)
        masks = [(ids == number).view(np.uint8) for number in (3, 1, 7)]
        colors = [(40, 110, 240), (230, 60, 80), (40, 110, 240)]
        expected = outlined_slowly(image, masks, colors, 0.5, pen)
        for runs in (MaskRuns.of_map(ids, [3, 1, 7]), MaskRuns.of_rles([rle.encode(mask) for mask in masks])):
            canvas = image.copy()
            paint_outlined(canvas, runs, colors, 0.5, pen)
            np.testing.assert_array_equal(canvas, expected)
