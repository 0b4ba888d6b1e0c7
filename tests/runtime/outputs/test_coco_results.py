"""Results as COCO files: panoptic PNG and JSON, instance and stuff results."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools import mask as peer

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate_predictions, open_dataset
from segrt.runtime.outputs.coco_results import PanopticFolder
from segrt.runtime.outputs.panoptic_journal import PanopticJournal
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, rle
from segrt.runtime.results.coco_entries import stuff_entries
from segrt.runtime.results.coco_format import read_panoptic_png
from segrt.runtime.results.labels.class_lists import spread

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


def test_a_panoptic_folder_is_written_as_coco_has_it(tmp_path):
    with PanopticFolder(tmp_path / "out" / "panoptic.json", LABELS) as folder:
        folder.add(small_result(), 9, "pictures/nine.jpg")
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    assert content["images"] == [{"id": 9, "file_name": "pictures/nine.jpg", "height": 3, "width": 4}]
    assert content["categories"][0] == {"id": 187, "name": "sky", "isthing": 0, "color": [90, 160, 220]}
    annotation = content["annotations"][0]
    assert annotation["file_name"] == "nine.png"
    assert {entry["id"]: entry["category_id"] for entry in annotation["segments_info"]} == {70_000: 187, 256: 3}
    ids = read_panoptic_png(tmp_path / "out" / "panoptic" / "nine.png")
    np.testing.assert_array_equal(ids, small_result().segment_ids)


def test_a_panoptic_folder_stays_readable_when_the_work_fails(tmp_path):
    def work():
        with PanopticFolder(tmp_path / "panoptic.json", LABELS) as folder:
            folder.add(small_result(), 1, "one.jpg")
            raise RuntimeError("the second picture is broken")

    with pytest.raises(RuntimeError):
        work()
    assert len(json.loads((tmp_path / "panoptic.json").read_text())["annotations"]) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    folder = PanopticFolder(tmp_path / "file" / "panoptic.json", LABELS)
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
    (entry,) = json.loads(json.dumps(result.to_coco("frame-1")))
    assert entry["image_id"] == "frame-1"
    assert entry["category_id"] == 3
    assert "bbox" not in entry
    assert entry["score"] == 0.25
    np.testing.assert_array_equal(peer.decode(entry["segmentation"]).astype(bool), mask)


def test_figures_by_size_of_written_results_are_those_of_pycocotools(tmp_path):
    """A ring is small by its mask and medium by its box, from which pycocotools takes the area where there is one."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    mask = np.zeros((80, 90), bool)
    mask[10:60, 10:60], mask[12:58, 12:58] = True, False
    code = rle.text(rle.encode(mask))
    annotation = {"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 0, "area": int(mask.sum()), "segmentation": code}
    truth = tmp_path / "truth.json"
    images = [{"id": 1, "file_name": "1.png", "height": 80, "width": 90}]
    content = {"images": images, "annotations": [{**annotation, "bbox": [10, 10, 50, 50]}]}
    truth.write_text(json.dumps({**content, "categories": [{"id": 3, "name": "ring"}]}))
    result = InstanceResult(
        np.array([[10, 10, 60, 60], [10, 10, 60, 60]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([1, 1]),
        [rle.encode(np.roll(mask, 40, axis=1)), rle.encode(mask)],
        (80, 90),
        LABELS,
    )
    predictions = tmp_path / "coco.json"
    predictions.write_text(json.dumps(result.to_coco(1)))
    with contextlib.redirect_stdout(io.StringIO()):
        read = coco.COCO(str(truth))
        peer_of = cocoeval.COCOeval(read, read.loadRes(str(predictions)), "segm")
        peer_of.evaluate()
        peer_of.accumulate()
        peer_of.summarize()
    figures = evaluate_predictions(predictions, open_dataset(truth)).metrics
    assert figures["ap_small"] == pytest.approx(peer_of.stats[3]) == pytest.approx(0.5, abs=0.01)


def test_gaps_of_a_numbering_are_no_categories(tmp_path):
    """A network that counts by COCO's ids has labels for the gaps; only those that occur are written."""
    labels = spread(LABELS, 188)
    ids = np.ones((4, 5), np.int32)
    for class_id, wanted in ((187, {"sky", "car"}), (9, {"sky", "car", "unused 9"})):
        result = PanopticResult(ids, [Segment(1, class_id, False, 0.9, 20, (0, 0, 5, 4))], labels)
        with PanopticFolder(tmp_path / f"{class_id}.json", labels) as folder:
            folder.add(result, 1, "one.jpg")
        journal = PanopticJournal(tmp_path / f"stream-{class_id}.json")
        journal.add({"id": 1, "file_name": "one.jpg"}, result, "one.png")
        journal.finish()
        for name in (f"{class_id}.json", f"stream-{class_id}.json"):
            written = json.loads((tmp_path / name).read_text())
            assert {entry["name"] for entry in written["categories"]} == wanted
            assert written["annotations"][0]["segments_info"][0]["isthing"] is False


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_stuff_results_have_a_mask_for_each_class_that_occurs():
    classes = np.full((5, 7), 255, np.uint8)
    classes[1:3] = 1
    (entry,) = json.loads(json.dumps(stuff_entries(classes, LABELS, 9)))
    assert (entry["image_id"], entry["category_id"]) == (9, 3)
    assert "score" not in entry
    np.testing.assert_array_equal(peer.decode(entry["segmentation"]).astype(bool), classes == 1)


def test_run_lengths_as_text_are_the_same_however_they_came():
    encoded = rle.encode(np.eye(4, dtype=bool))
    text = rle.text(encoded)
    assert text == {"size": [4, 4], "counts": encoded["counts"].decode("ascii")}
    assert rle.text(text) == text
