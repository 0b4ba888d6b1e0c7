"""What the live page is sent for a frame: a header, the picture, a map of regions, and how much there is of a class."""

import json
import time

import numpy as np
import pytest

from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, Timings, rle
from segrt.runtime.stream.frame import Frame

pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
pytest.importorskip("prometheus_client", reason="needs the extra segrt[web]")
from segrt.runtime.stream.web.class_amounts import amounts_of
from segrt.runtime.stream.web.frame_message import message, region_map

LABELS = (Label("road", 0, False, (255, 0, 0)), Label("car", 1, True, (0, 0, 255)))
SIZE = (90, 160)


def test_classes_are_counted_by_technique():
    ids = np.zeros(SIZE, np.int32)
    ids[45:], ids[:10, :16], ids[20:30, :16] = 3, 5, 6
    segments = [
        Segment(3, 0, False, 1.0, 45 * 160, (0, 45, 160, 45)),
        Segment(5, 1, True, 0.9, 160, (0, 0, 16, 10)),
        Segment(6, 1, True, 0.8, 160, (0, 20, 16, 10)),
    ]
    panoptic = amounts_of(PanopticResult(ids, segments, LABELS))
    assert panoptic == {"road": (None, 0.5), "car": (2, 320 / (90 * 160))}
    masks = [rle.encode(ids == 5), rle.encode(ids == 6)]
    boxes = np.array([[0, 0, 16, 10], [0, 20, 16, 30]], np.float32)
    scores, classes = np.array([0.9, 0.8], np.float32), np.array([1, 1])
    instance = amounts_of(InstanceResult(boxes, scores, classes, masks, SIZE, LABELS))
    assert instance["car"] == (2, 320 / (90 * 160))


def test_the_map_numbers_every_techniques_regions():
    ids = np.zeros((6, 8), np.int32)
    ids[3:], ids[1:4, 2:5] = 70_000, 9
    road = Segment(id=70_000, class_id=0, isthing=False, score=1.0, area=21, bbox=(0, 3, 8, 3))
    car = Segment(id=9, class_id=1, isthing=True, score=0.876, area=9, bbox=(2, 1, 3, 3))
    panoptic = PanopticResult(ids, [car, road], LABELS)
    regions, tracks, numbers = region_map(panoptic)
    assert tracks == [None, None]
    assert region_map(panoptic.with_tracks([4, 1]))[1] == [None, 4], "the road is no track"
    assert regions == [(0, None, 0.0, 0.5, 1.0, 0.5), (1, 0.88, 0.25, 0.1667, 0.375, 0.5)]
    assert np.array_equal(numbers, np.where(ids == 9, 2, np.where(ids == 70_000, 1, 0)))

    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:5] = True
    boxes, scores = np.array([[2, 1, 5, 4]], np.float32), np.array([0.5], np.float32)
    result = InstanceResult(boxes, scores, np.array([1]), [rle.encode(mask)], (6, 8), LABELS)
    regions, tracks, numbers = region_map(result.with_tracks([8]))
    assert tracks == [8]
    assert regions == [(1, 0.5, 0.25, 0.1667, 0.375, 0.5)]
    assert np.array_equal(numbers, mask)

    class_map = np.full((6, 8), 255, np.uint8)
    class_map[2:] = 1
    regions, _, numbers = region_map(SemanticResult(class_map, LABELS))
    assert [region[0] for region in regions] == [1]
    assert np.array_equal(numbers, class_map == 1)


def test_a_message_is_what_its_header_says():
    frame = Frame(np.zeros((*SIZE, 3), np.uint8), 3, 0.3, time.monotonic(), "cam")
    data = message(frame, SemanticResult(np.zeros(SIZE, np.uint8), LABELS, timings=Timings(1.0, 2.5, 0.5)))
    length = int.from_bytes(data[:4], "big")
    header = json.loads(data[4 : 4 + length])
    assert len(data) == 4 + length + header["jpeg"] + header["map"]
    assert data[4 + length :][:2] == b"\xff\xd8"
    assert data[-header["map"] :][:4] == b"\x89PNG"
    assert (header["index"], header["size"]) == (3, list(SIZE))
