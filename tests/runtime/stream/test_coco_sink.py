"""Panoptic results as a COCO data set: what was written is read back by others' rules, also after a kill."""

import json
from pathlib import Path

import numpy as np
import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import write_image
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.results.coco_format import read_panoptic_png
from segrt.runtime.stream import run_stream
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink_kinds import open_sink
from segrt.runtime.stream.sources.source import SourceInfo
from segrt.runtime.stream.sources.source_kinds import open_source

LABELS = (Label("road", 7, False, (1, 2, 3)), Label("car", 26, True, (4, 5, 6)))


def panoptic(index):
    ids = np.full((20, 30), 1, np.int32)
    ids[5:10, index % 20 : index % 20 + 5] = 300  # beyond one byte
    segments = [Segment(1, 0, False, 1.0, 575, (0, 0, 30, 20)), Segment(300, 1, True, 0.9, 25, (index % 20, 5, 5, 5))]
    return PanopticResult(ids, segments, LABELS)


def feed(sink, frames, source="cam"):
    for index in frames:
        image = np.zeros((20, 30, 3), np.uint8)
        sink.write(Frame(image, index, index * 0.5, 0.0, source), panoptic(index), None)


def opened(path, sources=("cam",), **options):
    sink = open_sink(path, SinkOptions(**options))
    sink.open([SourceInfo(source, None, None, True) for source in sources])
    return sink


def check(path: Path, indices):
    content = json.loads(path.read_text())
    assert [image["pts"] for image in content["images"]] == [index * 0.5 for index in indices]
    assert {(c["id"], c["name"], c["isthing"]) for c in content["categories"]} == {(7, "road", 0), (26, "car", 1)}
    by_image = {entry["image_id"]: entry for entry in content["annotations"]}
    for image, index in zip(content["images"], indices, strict=True):
        entry = by_image[image["id"]]
        ids = read_panoptic_png(path.with_suffix("") / entry["file_name"])
        np.testing.assert_array_equal(ids, panoptic(index).segment_ids)
        assert {(s["id"], s["category_id"], s["area"]) for s in entry["segments_info"]} == {(1, 7, 575), (300, 26, 25)}
        assert (image["height"], image["width"]) == (20, 30)


def test_json_and_pngs_are_a_coco_data_set(tmp_path):
    sink = opened(tmp_path / "out.json")
    feed(sink, range(5))
    sink.close()
    check(tmp_path / "out.json", range(5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.json"]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["000000000285.png", "000000000139.png"], [139, 285]),
        (["b.png", "7.png"], ["7", "b"]),
        (["7.png", "007.png"], ["007", "7"]),
        (["a.png", "a.jpg"], ["a", "a-2"]),
    ],
)
def test_pictures_of_a_folder_keep_their_ids(tmp_path, names, ids):
    (tmp_path / "in").mkdir()
    for name in names:
        write_image(tmp_path / "in" / name, np.zeros((20, 30, 3), np.uint8))
    source = open_source(tmp_path / "in")
    sink = opened(tmp_path / "out.json", [source.info.source_id])
    for frame in source.frames():
        sink.write(frame, panoptic(frame.index), None)
    sink.close()
    content = json.loads((tmp_path / "out.json").read_text())
    assert [image["id"] for image in content["images"]] == ids
    assert [entry["image_id"] for entry in content["annotations"]] == ids


def test_several_sources_share_one_data_set(tmp_path):
    sink = opened(tmp_path / "out.json", ["rtsp://h/gate", "rtsp://h/yard"])
    for source in ("rtsp://h/gate", "rtsp://h/yard"):
        feed(sink, range(2), source)
    sink.close()
    content = json.loads((tmp_path / "out.json").read_text())
    names = ["gate-000000.png", "gate-000001.png", "yard-000000.png", "yard-000001.png"]
    assert [entry["file_name"] for entry in content["annotations"]] == names
    assert len({image["id"] for image in content["images"]}) == 4


def test_what_a_killed_run_has_left_is_finished_by_the_next(tmp_path):
    killed = opened(tmp_path / "out.json", segment_seconds=60)
    feed(killed, range(3))
    killed._journal.close()  # as the system does for a dead process; nothing else is done
    left = tmp_path / "out-00001.unfinished.jsonl"
    with left.open("ab") as file:
        file.write(b'{"image": {"id": 4')  # cut off in the middle of a line
    following = opened(tmp_path / "out.json", segment_seconds=60)
    check(tmp_path / "out-00001.json", range(3))
    feed(following, range(3, 5))
    following.close()
    check(tmp_path / "out-00002.json", range(3, 5))
    assert not list(tmp_path.glob("*.unfinished.jsonl"))


def test_files_are_rotated_and_old_ones_go_with_their_pictures(tmp_path):
    sink = opened(tmp_path / "out.json", segment_seconds=2, keep_bytes=4400)
    feed(sink, range(40))
    sink.close()
    files = sorted(tmp_path.glob("out-*.json"))
    assert [path.with_suffix("").is_dir() for path in files] == [True] * len(files)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {path.stem for path in files}
    assert 1 <= len(files) < 10
    total = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert total <= 4400
    check(files[-1], range(36, 40))


def test_other_results_are_refused_before_anything_is_read(tmp_path, fakes):
    with fakes.FakeSegmenter() as segmenter, pytest.raises(VideoError, match=r"takes panoptic results, but.* semantic"):
        run_stream(segmenter, fakes.ListSource(3), [tmp_path / "out.json"])
    assert not (tmp_path / "out.json").exists()


def test_a_coco_data_set_of_tracks_has_one_id_for_each_in_all_pictures(tmp_path):
    sink = opened(tmp_path / "out.json")
    pictures = []
    # A car of the track 7, and something that has none yet; its ids in the results change from frame to frame.
    for index, (car, other) in enumerate([(1, 2), (5, 3), (None, 1)]):
        ids = np.zeros((4, 6), np.int32)
        segments = [Segment(other, 1, True, 0.3, 6, (0, 0, 3, 2))]
        ids[:2, :3] = other
        if car is not None:
            ids[2:] = car
            segments.append(Segment(car, 1, True, 0.9, 12, (0, 2, 6, 2), track_id=7))
        image = np.zeros((4, 6, 3), np.uint8)
        sink.write(Frame(image, index, index / 25, 0.0, "cam"), PanopticResult(ids, segments, LABELS), None)
        pictures.append(read_panoptic_png(tmp_path / "out" / f"{index:06d}.png"))
    sink.close()
    assert [np.unique(picture).tolist() for picture in pictures] == [[0, 7], [0, 7], [0]]
    written = json.loads((tmp_path / "out.json").read_text())
    assert [[(one["id"], one["area"]) for one in entry["segments_info"]] for entry in written["annotations"]] == [
        [(7, 12)],
        [(7, 12)],
        [],
    ]
