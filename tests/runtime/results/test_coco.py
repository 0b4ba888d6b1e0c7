"""COCO files: colours of ids, panoptic PNG and JSON, instance results."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as peer

from segrt.runtime.errors import ImageError, SegrtError
from segrt.runtime.postproc import ids_of_colors
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, coco_format, rle

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "coco_panoptic"
LABELS = (Label("sky", 187, False, (90, 160, 220)), Label("car", 3, True, (40, 110, 240)))


def small_result():
    ids = np.zeros((3, 4), np.int32)
    ids[0] = 70_000
    ids[2, 1:] = 256
    segments = [
        Segment(70_000, 0, False, 0.75, 4, (0, 0, 4, 1)),
        Segment(256, 1, True, 0.5, 3, (1, 2, 3, 1)),
    ]
    return PanopticResult(ids, segments, LABELS)


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


def test_a_panoptic_png_survives_writing_and_reading(tmp_path):
    ids = np.random.default_rng(1).integers(0, 1 << 24, (20, 30)).astype(np.int32)
    coco_format.write_panoptic_png(tmp_path / "a.png", ids)
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
    coco_format.write_panoptic_png(tmp_path / "cut.png", np.random.default_rng(2).integers(0, 1 << 24, (40, 40)))
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"cut\.png is no readable picture"):
        coco_format.read_panoptic_png(tmp_path / "cut.png")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty\.png is no readable picture"):
        coco_format.read_panoptic_png(tmp_path / "empty.png")
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(ImageError, match=r"grey\.png must be an 8-bit RGB PNG"):
        coco_format.read_panoptic_png(tmp_path / "grey.png")


def test_a_panoptic_folder_is_written_as_coco_has_it(tmp_path):
    with coco_format.PanopticFolder(tmp_path / "out" / "panoptic.json", LABELS) as folder:
        folder.add(small_result(), 9, "pictures/nine.jpg")
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    assert content["images"] == [{"id": 9, "file_name": "pictures/nine.jpg", "height": 3, "width": 4}]
    assert content["categories"][0] == {"id": 187, "name": "sky", "isthing": 0, "color": [90, 160, 220]}
    annotation = content["annotations"][0]
    assert annotation["file_name"] == "nine.png"
    assert {entry["id"]: entry["category_id"] for entry in annotation["segments_info"]} == {70_000: 187, 256: 3}
    ids = coco_format.read_panoptic_png(tmp_path / "out" / "panoptic" / "nine.png")
    np.testing.assert_array_equal(ids, small_result().segment_ids)


def test_a_panoptic_folder_stays_readable_when_the_work_fails(tmp_path):
    def work():
        with coco_format.PanopticFolder(tmp_path / "panoptic.json", LABELS) as folder:
            folder.add(small_result(), 1, "one.jpg")
            raise RuntimeError("the second picture is broken")

    with pytest.raises(RuntimeError):
        work()
    assert len(json.loads((tmp_path / "panoptic.json").read_text())["annotations"]) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    folder = coco_format.PanopticFolder(tmp_path / "file" / "panoptic.json", LABELS)
    with pytest.raises(SegrtError, match="file"):
        folder.add(small_result(), 1, "one.jpg")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_instance_results_are_read_by_the_peer():
    mask = np.zeros((5, 7), bool)
    mask[1:4, 2:6] = True
    result = InstanceResult(
        np.array([[2, 1, 6, 4]], np.float32),
        np.array([0.25], np.float32),
        np.array([1]),
        [rle.encode(mask)],
        (5, 7),
        LABELS,
    )
    (entry,) = json.loads(json.dumps(coco_format.instance_annotations(result, "frame-1")))
    assert entry["image_id"] == "frame-1"
    assert entry["category_id"] == 3
    assert entry["bbox"] == [2, 1, 4, 3]
    assert entry["score"] == 0.25
    np.testing.assert_array_equal(peer.decode(entry["segmentation"]).astype(bool), mask)
