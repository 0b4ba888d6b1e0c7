"""Truths and predictions that do not fit are named in one line."""

import json
import shutil

import pytest
from oracle import save_predictions, scene

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate_predictions, open_dataset
from segrt.runtime.outputs import coco_results


def edited(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def no_png(folder):
    (folder / "truth" / "1.png").unlink()


def strange_segment(folder):
    ids = scene(1)
    ids[0, 0] = 77
    coco_results.write_panoptic_png(folder / "truth" / "1.png", ids)


def lost_segment(folder):
    ids = scene(1)
    ids[ids == 3] = 0
    coco_results.write_panoptic_png(folder / "truth" / "1.png", ids)


def other_size(folder):
    coco_results.write_panoptic_png(folder / "truth" / "1.png", scene(1)[:50])


def unknown_category(folder):
    edited(folder / "truth.json", lambda c: c["annotations"][1]["segments_info"][0].update(category_id=555))


def no_annotations(folder):
    edited(folder / "truth.json", lambda c: c.update(annotations=[]))


def no_categories(folder):
    edited(folder / "truth.json", lambda c: c.update(categories=[]))


def category_twice(folder):
    edited(folder / "truth.json", lambda c: c["categories"].append(c["categories"][0]))


def empty_file(folder):
    (folder / "truth.json").write_text("")


def no_json(folder):
    (folder / "truth.json").write_text('{"images": [')


def a_list(folder):
    (folder / "truth.json").write_text("[1]")


def missing_field(folder):
    edited(folder / "truth.json", lambda c: c["annotations"][1].pop("file_name"))


def image_unknown(folder):
    edited(folder / "truth.json", lambda c: c["images"].pop(1))


def no_file(folder):
    (folder / "truth.json").unlink()


def no_png_folder(folder):
    shutil.rmtree(folder / "truth")


BAD_TRUTHS = [
    (no_png, r"truth/1\.png does not exist"),
    (strange_segment, r"truth/1\.png holds segment 77, which .*truth\.json does not list"),
    (lost_segment, r"truth\.json lists segment 3 for .*truth/1\.png, which does not hold it"),
    (other_size, r"truth/1\.png is 80 pixels wide and 50 high, but 80 wide and 60 high"),
    (unknown_category, r"truth\.json gives segment \d+ of 1\.png the category 555"),
    (no_annotations, r"truth\.json holds no annotations"),
    (no_categories, r"truth\.json holds no categories"),
    (category_twice, r"truth\.json has category 21 twice"),
    (empty_file, r"truth\.json is empty"),
    (no_json, r"truth\.json is no valid JSON"),
    (a_list, r"truth\.json has no list of annotations"),
    (missing_field, r"truth\.json is no valid COCO JSON: .*file_name"),
    (image_unknown, r"truth\.json annotates image 1, which is not in its images"),
    (no_file, r"truth\.json: cannot be read"),
    (no_png_folder, r"truth is no folder"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_TRUTHS, ids=[spoil.__name__ for spoil, _ in BAD_TRUTHS])
def test_a_truth_that_does_not_fit_is_named_in_one_line(folder, spoil, message):
    predictions = save_predictions(folder, "panoptic")
    spoil(folder)
    with pytest.raises(SegrtError, match=message) as caught:
        evaluate_predictions(predictions, open_dataset(folder / "truth.json"))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_predictions_that_do_not_fit_are_named(folder):
    dataset = open_dataset(folder / "truth.json")

    def fails(technique, change, message):
        path = save_predictions(folder, technique)
        edited(path, change)
        with pytest.raises(SegrtError, match=message):
            evaluate_predictions(path, dataset)

    fails("panoptic", lambda c: c["annotations"].pop(), r"panoptic\.json has no prediction for image 2")
    fails(
        "panoptic",
        lambda c: c["annotations"][0].update(image_id=99),
        r"panoptic\.json: is of image 99, which .*truth\.json lacks; its ids are 0, 1, 2",
    )
    fails("panoptic", lambda c: c["annotations"][0]["segments_info"].pop(), r"0\.png holds segment 4, which")
    fails("panoptic", lambda c: c.pop("annotations"), r"must be COCO instance results")
    fails("instance", lambda c: c[0].pop("score"), r"result 0 has no score")
    fails("instance", lambda c: c[0].update(image_id=99), r"result 0 is of image 99")
    fails("instance", lambda c: c[0].update(category_id=21), r"category 21, which is no thing")
    fails("instance", lambda c: c[0]["segmentation"].update(size=[60, 81]), r"a mask of image 0 is \[60, 81\]")
    fails("instance", lambda c: c[0]["segmentation"].pop("counts"), r"no valid COCO JSON: .*counts")
