"""Boxes and masks as Matterport's `unmold_detections` brings them to the picture, against its own arithmetic."""

import numpy as np
import pytest

from segrt.runtime.decode.cuda.paste_masks import PasteMasksProgram
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.decoding_place import why_no_program
from segrt.runtime.decode.paste_masks import PasteMasks, whole_pixel_boxes
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.kernels import built_files
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label

LABELS = tuple(Label(name, number, True, (9, 9, 9)) for number, name in enumerate(("person", "dog"), 1))
RULE = PasteMasks(score_threshold=0.5, first_class=1, paste_rule="matterport")
# A picture of 90x160 in the middle of an input of 64x64, and one that fills it, enlarged.
PLACES = (Geometry((90, 160), (64, 64), (14.0, 0.0, 50.0, 64.0)), Geometry((33, 33), (64, 64), (0.0, 0.0, 64.0, 64.0)))


def unmolded(box: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return a box (x, y, x, y) with both edges in the input as theirs in the picture: norm_boxes and denorm_boxes."""
    network, source = np.array(geometry.network_size), np.array(geometry.source_size)
    normalised = (box[[1, 0, 3, 2]] - [0, 0, 1, 1]) / np.tile(network - 1, 2)
    window = (np.array(geometry.window) - [0, 0, 1, 1]) / np.tile(network - 1, 2)
    inside = (normalised - np.tile(window[:2], 2)) / np.tile(window[2:] - window[:2], 2)
    return np.around(inside * np.tile(source - 1, 2) + [0, 0, 1, 1]).astype(int)[[1, 0, 3, 2]]


def resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a mask enlarged as skimage's resize does (order 1, zeros beyond it), pixel by pixel."""
    padded = np.pad(mask.astype(float), 1)
    out = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            y = (row + 0.5) * mask.shape[0] / height + 0.5
            x = (column + 0.5) * mask.shape[1] / width + 0.5
            top, left = int(y), int(x)
            part = padded[top : top + 2, left : left + 2]
            out[row, column] = np.array([1 - y % 1, y % 1]) @ part @ np.array([1 - x % 1, x % 1])
    return out


def heads(count: int, geometry: Geometry) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(2)
    top, left, bottom, right = geometry.window
    corners = generator.uniform((left, top), (right - 6, bottom - 6), (count, 2))
    far = np.minimum(corners + generator.uniform(4, 25, (count, 2)), (right, bottom))
    return {
        "boxes": np.concatenate([corners, far], 1).astype(np.float32),
        "scores": np.linspace(0.99, 0.55, count, dtype=np.float32),
        "class_ids": generator.integers(1, 3, count).astype(np.int32),
        "masks": generator.random((count, 28, 28), np.float32),
    }


@pytest.mark.parametrize("geometry", PLACES, ids=["shrunk", "enlarged"])
def test_objects_are_matterports_pixel_by_pixel(geometry: Geometry) -> None:
    given = heads(12, geometry)
    result = find_decoder(RULE, "cpu")(given, geometry, Context(RULE, LABELS))
    assert len(result) == 12
    near = 0
    for index in range(12):
        left, top, right, bottom = unmolded(given["boxes"][index].astype(float), geometry)
        assert result.boxes[index].tolist() == [left, top, right, bottom]
        values = resized(given["masks"][index], bottom - top, right - left)
        expected = np.zeros(geometry.source_size, bool)
        expected[top:bottom, left:right] = values >= 0.5
        near += int((np.abs(values - 0.5) < 1e-5).sum())
        assert (result.masks[index] != expected).sum() <= near
    assert near < 3


def test_the_picture_s_edges_are_its_first_and_last_pixel() -> None:
    geometry = PLACES[0]
    boxes = np.array([[0, 14, 64, 50], [0, 14, 1, 15], [63, 49, 64, 50]], np.float32)
    assert whole_pixel_boxes(boxes, geometry).tolist() == [[0, 0, 160, 90], [0, 0, 1, 1], [159, 89, 160, 90]]


def test_boxes_without_a_pixel_are_left_out() -> None:
    geometry, given = PLACES[1], heads(3, PLACES[1])
    given["boxes"][1] = [10.9, 10.0, 10.95, 30.0]  # rounds to no column
    result = find_decoder(RULE, "cpu")(given, geometry, Context(RULE, LABELS))
    np.testing.assert_array_equal(result.scores, given["scores"][[0, 2]])


def test_it_is_decoded_on_the_cpu_and_said_why() -> None:
    assert PasteMasksProgram.why_not_rule(RULE) == "paste_rule matterport has no kernels"
    assert PasteMasksProgram.why_not_rule(PasteMasks()) is None
    specs = {role: TensorSpec(role, "int32" if role == "class_ids" else "float32", (1, 4)) for role in RULE.roles}
    assert why_no_program(RULE, specs) is not None
    if built_files():
        assert why_no_program(RULE, specs) == "paste_rule matterport has no kernels"
        assert why_no_program(PasteMasks(), specs) is None
