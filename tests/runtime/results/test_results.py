"""The result types refuse what they cannot be, and convert into each other without loss."""

import dataclasses
import pickle

import msgspec
import numpy as np
import pytest

from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, Timings, rle

LABELS = (
    Label("sky", 10, False, (90, 160, 220)),
    Label("car", 3, True, (40, 110, 240)),
    Label("person", 1, True, (230, 60, 80)),
)


def panoptic():
    """A 4 x 6 picture: sky above, a car and a person below, void between them."""
    ids = np.zeros((4, 6), np.int32)
    ids[:2] = 7
    ids[2:, :2] = 3
    ids[3, 4:] = 5
    segments = [
        Segment(7, 0, False, 0.9, 12, (0, 0, 6, 2)),
        Segment(3, 1, True, 0.6, 4, (0, 2, 2, 2)),
        Segment(5, 2, True, 0.8, 2, (4, 3, 2, 1)),
    ]
    return PanopticResult(ids, segments, LABELS, Timings(1.0, 2.0, 3.5))


def test_timings_add_up():
    assert Timings(1.0, 2.0, 3.5).total_ms == 6.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "must not be empty"),
        ({"dataset_id": -1}, "at least 0, but got -1"),
        ({"color": (0, 0, 256)}, "0 to 255"),
        ({"color": (0, 0)}, "RGB"),
    ],
)
def test_a_label_refuses_values_out_of_range(fields, message):
    good = {"name": "car", "dataset_id": 3, "isthing": True, "color": (1, 2, 3)}
    with pytest.raises(ValueError, match=message):
        Label(**(good | fields))


def test_a_label_is_read_strictly_from_json():
    text = b'{"name": "car", "dataset_id": 3, "isthing": true, "color": [1, 2, 3]}'
    assert msgspec.json.decode(text, type=Label) == Label("car", 3, True, (1, 2, 3))
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(text[:-1] + b', "colour": 1}', type=Label)
    with pytest.raises(msgspec.ValidationError, match="0 to 255"):
        msgspec.json.decode(text.replace(b"1, 2, 3", b"1, 2, 300"), type=Label)


@pytest.mark.parametrize(
    ("class_map", "message"),
    [
        (np.zeros((2, 2), np.float32), r"uint8 or uint16 with shape \(H, W\), but got float32 \(2, 2\)"),
        (np.zeros((2, 2, 1), np.uint8), r"but got uint8 \(2, 2, 1\)"),
        (np.zeros((0, 2), np.uint8), "must not be empty"),
        (np.full((2, 2), 3, np.uint8), "holds class id 3, but there are 3 labels"),
        (np.array([[255, 200]], np.uint8), "holds class id 200"),
        ([[0]], "but got list"),
    ],
)
def test_a_semantic_result_refuses_what_is_no_class_map(class_map, message):
    with pytest.raises(ValueError, match=message):
        SemanticResult(class_map, LABELS)


def test_void_is_the_highest_value_unless_it_is_a_class():
    assert SemanticResult(np.array([[255, 0]], np.uint8), LABELS).void_id == 255
    assert SemanticResult(np.array([[65535, 0]], np.uint16), LABELS).void_id == 65535
    many = tuple(Label(f"c{index}", index, True, (0, 0, 0)) for index in range(256))
    assert SemanticResult(np.array([[255, 0]], np.uint8), many).void_id == -1


def test_results_refuse_an_empty_list_of_labels():
    with pytest.raises(ValueError, match="at least one Label"):
        SemanticResult(np.zeros((1, 1), np.uint8), ())


def instances(**changes):
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    fields = {
        "boxes": np.array([[2, 1, 5, 3]], np.float32),
        "scores": np.array([0.5], np.float32),
        "class_ids": np.array([1]),
        "rles": [rle.encode(mask)],
        "size": (4, 6),
        "labels": LABELS,
    }
    return InstanceResult(**(fields | changes)), mask


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": np.zeros((1, 4))}, r"boxes must be float32 with shape \(1, 4\), but got float64 \(1, 4\)"),
        ({"scores": np.zeros((2,), np.float32)}, r"scores must be float32 with shape \(1,\)"),
        ({"scores": np.array([np.nan], np.float32)}, "scores must be finite"),
        ({"class_ids": np.array([0.0])}, "class_ids must be integers"),
        ({"class_ids": np.array([3])}, "class_ids must be 0 to 2, but got 3 to 3"),
        ({"size": (4, 7)}, r"rles\[0\] must have size \[4, 7\], but got \[4, 6\]"),
        ({"size": (0, 6)}, "size must be"),
    ],
)
def test_an_instance_result_refuses_fields_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        instances(**changes)


def test_masks_are_decoded_once_on_demand():
    result, mask = instances()
    assert "masks" not in vars(result)
    assert result.masks.shape == (1, 4, 6)
    assert result.masks.dtype == np.bool_
    np.testing.assert_array_equal(result.masks[0], mask)
    assert result.masks is result.masks


def test_an_instance_result_may_be_empty():
    result = InstanceResult(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), [], (3, 5), LABELS
    )
    assert len(result) == 0
    assert result.masks.shape == (0, 3, 5)


@pytest.mark.parametrize(
    ("ids", "segments", "message"),
    [
        (np.zeros((2, 2), np.int64), [], "segment_ids must be int32"),
        (np.ones((2, 2), np.int32), [], "holds 1 to 1, but segments has ids up to 0"),
        (np.full((2, 2), -1, np.int32), [Segment(1, 0, False, 1.0, 4, (0, 0, 2, 2))], "holds -1"),
        (np.zeros((2, 2), np.int32), [Segment(0, 0, False, 1.0, 4, (0, 0, 2, 2))], "at least 1"),
        (np.zeros((2, 2), np.int32), [Segment(1, 3, False, 1.0, 4, (0, 0, 2, 2))], "class_id 3, but there are 3"),
        (np.zeros((2, 2), np.int32), [Segment(1, 0, False, 1.0, 4, (0, 0, 2, 2))] * 2, "distinct"),
    ],
)
def test_a_panoptic_result_refuses_fields_that_do_not_fit(ids, segments, message):
    with pytest.raises(ValueError, match=message):
        PanopticResult(ids, segments, LABELS)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_narrow_ids_are_int32_for_whoever_asks_and_are_widened_once(dtype):
    ids = np.array([[0, 1, 1], [2, 2, 0]], dtype)
    segments = [Segment(1, 0, True, 0.9, 2, (1, 0, 2, 1)), Segment(2, 1, False, 0.8, 2, (0, 1, 2, 1))]
    labels = (Label("car", 1, True, (1, 2, 3)), Label("road", 2, False, (4, 5, 6)))
    narrow = PanopticResult.decided(ids, segments, labels, nonfinite_heads=1)
    wide = PanopticResult(ids.astype(np.int32), segments, labels, nonfinite_heads=1)
    assert narrow.size == (2, 3)
    assert "segment_ids" not in vars(narrow), "nobody has asked yet"
    again = pickle.loads(pickle.dumps(narrow))
    for result in (narrow, again, dataclasses.replace(narrow)):
        assert result.segment_ids.dtype == np.int32
        assert result.segment_ids is result.segment_ids
        np.testing.assert_array_equal(result.segment_ids, wide.segment_ids)
        assert (result.segments, result.labels, result.nonfinite_heads) == (segments, labels, 1)
        np.testing.assert_array_equal(result.to_semantic().class_map, wide.to_semantic().class_map)
        assert repr(result) == repr(wide)
    assert not hasattr(narrow, "nothing")


def test_segments_of_a_decoder_are_checked_though_its_pixels_are_not():
    labels = (Label("car", 1, True, (1, 2, 3)),)
    with pytest.raises(ValueError, match="class_id 3, but there are 1"):
        PanopticResult.decided(np.zeros((2, 2), np.uint8), [Segment(1, 3, False, 1.0, 4, (0, 0, 2, 2))], labels)


def test_classes_of_a_decoder_are_looked_at_where_some_have_no_label():
    labels = (Label("car", 1, True, (1, 2, 3)),)
    assert SemanticResult.decided(np.zeros((2, 2), np.uint8), labels, classes=2).size == (2, 2)
    with pytest.raises(ValueError, match="class_map holds class id 1, but there are 1 labels"):
        SemanticResult.decided(np.ones((2, 2), np.uint8), labels, classes=2)


def test_panoptic_to_semantic_keeps_classes_and_void():
    result = panoptic().to_semantic()
    expected = np.full((4, 6), 255, np.uint8)
    expected[:2] = 0
    expected[2:, :2] = 1
    expected[3, 4:] = 2
    np.testing.assert_array_equal(result.class_map, expected)
    assert result.void_id == 255
    assert result.timings == Timings(1.0, 2.0, 3.5)


def test_panoptic_to_semantic_with_ids_as_large_as_colours_and_many_classes():
    many = tuple(Label(f"c{index}", index, False, (0, 0, 0)) for index in range(300))
    ids = np.array([[0, 16_777_215], [5, 5]], np.int32)
    segments = [Segment(16_777_215, 299, False, 1.0, 1, (1, 0, 1, 1)), Segment(5, 2, False, 1.0, 2, (0, 1, 2, 1))]
    result = PanopticResult(ids, segments, many).to_semantic()
    assert result.class_map.dtype == np.uint16
    np.testing.assert_array_equal(result.class_map, [[65535, 299], [2, 2]])


def test_panoptic_to_instances_has_the_things_best_first():
    source = panoptic()
    result = source.to_instances()
    np.testing.assert_array_equal(result.class_ids, [2, 1])
    np.testing.assert_allclose(result.scores, [0.8, 0.6], atol=1e-7)
    np.testing.assert_array_equal(result.boxes, [[4, 3, 6, 4], [0, 2, 2, 4]])
    np.testing.assert_array_equal(result.masks[0], source.segment_ids == 5)
    np.testing.assert_array_equal(result.masks[1], source.segment_ids == 3)


def test_panoptic_to_coco_has_the_data_sets_ids():
    annotation = panoptic().to_coco(42, "street.png")
    assert annotation["image_id"] == 42
    assert annotation["file_name"] == "street.png"
    assert [entry["category_id"] for entry in annotation["segments_info"]] == [10, 3, 1]
    assert annotation["segments_info"][1] == {
        "id": 3,
        "category_id": 3,
        "isthing": True,
        "area": 4,
        "bbox": [0, 2, 2, 2],
        "iscrowd": 0,
        "score": 0.6,
    }
