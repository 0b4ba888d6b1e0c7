"""Things in files of their own: what is cut out is what the mask shows, at its box."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from segrt.runtime.outputs.object_savers import CutoutsSaver, MasksSaver, parts_of
from segrt.runtime.outputs.saver import Segmented
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle

LABELS = (Label("road", 1, False, (9, 9, 9)), Label("traffic light/red", 2, True, (0, 0, 200)))
IMAGE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
LIGHT = np.zeros((4, 6), bool)
LIGHT[1:3, 2:5] = True
LIGHT[1, 2] = False
IDS = np.where(LIGHT, 2, 1).astype(np.int32)
PANOPTIC = PanopticResult(
    IDS,
    [Segment(1, 0, False, 0.9, 19, (0, 0, 6, 4)), Segment(2, 1, True, 0.75, 5, (2, 1, 3, 2))],
    LABELS,
)
EMPTY = np.zeros((4, 6), bool)
INSTANCES = InstanceResult(
    np.array([[0, 0, 9, 9], [2, 1, 5, 3]], np.float32),
    np.array([0.8, 0.75], np.float32),
    np.array([1, 1]),
    [rle.encode(EMPTY), rle.encode(LIGHT)],
    (4, 6),
    LABELS,
)
SEMANTIC = SemanticResult(LIGHT.astype(np.uint8), LABELS)


def save(kind, result, out: Path):
    origin = None  # neither asks where results come from
    item = Segmented(Path("street.jpg"), "street", 1, IMAGE, result, {}, None)
    return kind(out, origin).add(item)


@pytest.mark.parametrize("result", [PANOPTIC, INSTANCES])
def test_cutouts_show_each_object_at_its_box_and_nothing_beside_its_mask(result, tmp_path):
    listed = save(CutoutsSaver, result, tmp_path)
    row = {
        "file": "street/001-traffic_light_red.png",
        "class_id": 1,
        "class": "traffic light/red",
        "score": 0.75,
        "box": [2, 1, 3, 2],
        "area": 5,
    }
    assert listed == tmp_path / "cutouts/street.json"
    assert json.loads(listed.read_text()) == [row]
    cut = cv2.imread(str(tmp_path / "cutouts/street/001-traffic_light_red.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(cut[..., 3], [[0, 255, 255], [255, 255, 255]])
    np.testing.assert_array_equal(cut[..., :3], IMAGE[1:3, 2:5])


def test_masks_have_the_size_of_the_picture_and_show_stuff_as_well(tmp_path):
    rows = json.loads(save(MasksSaver, PANOPTIC, tmp_path).read_text())
    assert [(row["file"], row["area"]) for row in rows] == [
        ("street/001-road.png", 19),
        ("street/002-traffic_light_red.png", 5),
    ]
    for row, mask in zip(rows, (~LIGHT, LIGHT), strict=True):
        saved = cv2.imread(str(tmp_path / "masks" / row["file"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(saved, mask * 255)


def test_classes_of_a_map_are_parts_without_a_score():
    parts = list(parts_of(SEMANTIC, stuff=False))
    assert [(part.name, part.score, part.box) for part in parts] == [
        ("road", None, (0, 0, 6, 4)),
        ("traffic light/red", None, (2, 1, 3, 2)),
    ]


def test_a_picture_without_objects_has_an_empty_list(tmp_path):
    nothing = INSTANCES.filter(score_threshold=0.9)
    assert json.loads(save(CutoutsSaver, nothing, tmp_path).read_text()) == []
