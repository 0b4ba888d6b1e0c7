"""Objects of a video keep their track ids in every form that a result takes."""

import dataclasses
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment

LABELS = (Label("sky", 10, False, (90, 160, 220)), Label("car", 3, True, (40, 110, 240)))


def panoptic() -> PanopticResult:
    """Sky of track 1, a car of track 8, and one that is none's yet."""
    ids = np.zeros((4, 6), np.int32)
    ids[:2], ids[2:, :2], ids[2:, 3:5] = 1, 2, 3
    segments = [
        Segment(1, 0, False, 0.9, 12, (0, 0, 6, 2), track_id=1),
        Segment(2, 1, True, 0.6, 4, (0, 2, 2, 2), track_id=8),
        Segment(3, 1, True, 0.7, 4, (3, 2, 2, 2)),
    ]
    return PanopticResult(ids, segments, LABELS)


def untracked() -> PanopticResult:
    result = panoptic()
    return dataclasses.replace(result, segments=[dataclasses.replace(item, track_id=None) for item in result])


def test_rows_and_coco_entries_have_them_where_there_are_any() -> None:
    assert [row.get("track_id") for row in panoptic().to_rows()] == [1, 8, None]
    assert [entry.get("track_id") for entry in panoptic().to_coco()["segments_info"]] == [1, 8, None]
    assert [row.get("track_id") for row in panoptic().to_instances().to_rows()] == [None, 8], "best score first"
    for rows in (untracked().to_rows(), untracked().to_instances().to_rows(), untracked().to_coco()["segments_info"]):
        assert all("track_id" not in row for row in rows)


def test_parts_of_a_result_keep_them() -> None:
    assert [segment.track_id for segment in panoptic().filter("car")] == [8, None]
    instances = panoptic().to_instances()
    assert [item.track_id for item in instances] == [None, 8]
    assert [item.track_id for item in instances.filter(score_threshold=0.65)] == [None]
    assert untracked().to_instances().track_ids is None


def test_supervision_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=SimpleNamespace))  # type: ignore[arg-type]
    assert panoptic().to_supervision().tracker_id.tolist() == [1, 8, -1]
    assert panoptic().to_instances().to_supervision().tracker_id.tolist() == [-1, 8]
    assert untracked().to_supervision().tracker_id is None


@pytest.mark.parametrize("wrong", [np.array([1], np.int64), np.array([1, 2], np.int32), [1, 2]])
def test_one_for_each_object(wrong) -> None:
    found = panoptic().to_instances()
    with pytest.raises(ValueError, match=r"track_ids must be int64 with shape \(2,\), but got"):
        InstanceResult(found.boxes, found.scores, found.class_ids, found.rles, (4, 6), LABELS, track_ids=wrong)


def test_tracks_are_given_to_a_result_without_touching_its_pixels() -> None:
    ids = panoptic().segment_ids.astype(np.uint8)
    narrow = PanopticResult.decided(ids, untracked().segments, LABELS)
    given = narrow.with_tracks([1, 8, None])
    assert [segment.track_id for segment in given] == [1, 8, None]
    assert [segment.track_id for segment in narrow] == [None] * 3
    assert "segment_ids" not in vars(given), "widened where it is asked for"
    np.testing.assert_array_equal(given.segment_ids, panoptic().segment_ids)
    instances = untracked().to_instances()
    assert [item.track_id for item in instances.with_tracks([None, 8])] == [None, 8]
    assert instances.track_ids is None
    with pytest.raises(ValueError, match="shorter"):
        narrow.with_tracks([1])


def test_by_track_the_map_holds_the_ids_of_tracks() -> None:
    result = panoptic()
    renamed = result.by_track()
    assert {item.id: (item.name, item.area) for item in renamed} == {1: ("sky", 12), 8: ("car", 4)}
    assert renamed.segment_ids.dtype == np.int32
    assert (renamed.segment_ids == np.select([result.segment_ids == 1, result.segment_ids == 2], [1, 8], 0)).all()
    narrow = PanopticResult.decided(result.segment_ids.astype(np.uint8), result.segments, LABELS)
    assert (narrow.by_track().segment_ids == renamed.segment_ids).all()
    with pytest.raises(SegrtError, match="by_track: nothing was tracked"):
        untracked().by_track()
    with pytest.raises(SegrtError, match=r"by_track: ids are 1 to 2147483647, but segment 2 is of 0"):
        result.with_tracks([1, 0, None]).by_track()


def test_by_track_segments_of_one_track_are_one() -> None:
    joined = panoptic().with_tracks([4, 9, 9]).by_track()
    (car,) = (item for item in joined if item.name == "car")
    assert (car.id, car.area, car.bbox, car.score) == (9, 8, (0, 2, 5, 2), 0.7)
    assert int((joined.segment_ids == 9).sum()) == 8
