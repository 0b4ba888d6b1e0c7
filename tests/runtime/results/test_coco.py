"""COCO's panoptic PNG: colours of ids, what is written is read, and what is no such file is named."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from segrt.runtime.errors import ImageError
from segrt.runtime.outputs.coco_results import write_panoptic_png
from segrt.runtime.postproc import ids_of_colors
from segrt.runtime.results import Label, PanopticResult, Segment, SemanticResult, coco_format

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "coco_panoptic"


def test_ids_are_red_plus_256_green_plus_65536_blue():
    assert coco_format.id2rgb(1 + 256 * 2 + 65536 * 3) == [1, 2, 3]
    assert ids_of_colors(np.array([[[3, 2, 1]]], np.uint8)).tolist() == [[1 + 256 * 2 + 65536 * 3]]
    ids = np.random.default_rng(0).integers(0, 1 << 24, (50, 60)).astype(np.int32)
    colors = coco_format.id2rgb(ids)
    assert colors.dtype == np.uint8
    np.testing.assert_array_equal(colors[..., 0], ids % 256)
    np.testing.assert_array_equal(colors[..., 1], ids // 256 % 256)
    np.testing.assert_array_equal(colors[..., 2], ids // 65536)
    np.testing.assert_array_equal(ids_of_colors(colors[..., ::-1].copy()), ids)
    assert coco_format.id2rgb(int(ids[0, 0])) == colors[0, 0].tolist()


def test_ids_of_numpy_are_written_as_numbers():
    label = Label("car", 3, True, (9, 9, 9))
    mask = np.ones((2, 3), np.uint8)
    panoptic = PanopticResult(mask.astype(np.int32), [Segment(1, 0, True, 0.5, 6, (0, 0, 3, 2))], (label,))
    for result in (panoptic, panoptic.to_instances(), SemanticResult(mask * 0, (label,))):
        for image_id, written in ((np.int64(5), 5), ("a", "a")):
            entry = result.to_coco(image_id)
            entry = entry[0] if isinstance(entry, list) else entry
            assert json.loads(json.dumps(entry))["image_id"] == written


def test_a_panoptic_png_survives_writing_and_reading(tmp_path):
    ids = np.random.default_rng(1).integers(0, 1 << 24, (20, 30)).astype(np.int32)
    write_panoptic_png(tmp_path / "a.png", ids)
    read = coco_format.read_panoptic_png(tmp_path / "a.png")
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, ids)


@pytest.mark.parametrize("ids", [np.array([[-1]]), np.array([[1 << 24]])])
def test_ids_that_are_no_colour_are_refused(ids):
    with pytest.raises(ValueError, match="must be 0 to 16777215"):
        coco_format.encode_panoptic_png(ids)


def test_real_annotations_are_read_as_their_json_says():
    if not FIXTURES.is_dir():
        pytest.skip(f"{FIXTURES} is missing")
    content = json.loads((FIXTURES / "panoptic.json").read_text())
    for annotation in content["annotations"][:10]:
        ids = coco_format.read_panoptic_png(FIXTURES / "panoptic" / annotation["file_name"])
        areas = dict(zip(*np.unique(ids, return_counts=True), strict=True))
        for segment in annotation["segments_info"]:
            assert areas[segment["id"]] == segment["area"]


def test_what_is_no_panoptic_png_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"nothing\.png does not exist"):
        coco_format.read_panoptic_png(tmp_path / "nothing.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.png is no readable picture"):
        coco_format.read_panoptic_png(tmp_path / "text.png")
    write_panoptic_png(tmp_path / "cut.png", np.random.default_rng(2).integers(0, 1 << 24, (40, 40)))
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"cut\.png is no readable picture"):
        coco_format.read_panoptic_png(tmp_path / "cut.png")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty\.png is no readable picture"):
        coco_format.read_panoptic_png(tmp_path / "empty.png")
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(ImageError, match=r"grey\.png must be an 8-bit RGB PNG"):
        coco_format.read_panoptic_png(tmp_path / "grey.png")
