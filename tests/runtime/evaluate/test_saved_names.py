"""Saved predictions: no two images in one file, none outside the folder, and what is read back is what was saved."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.cli.eval_plan import Subject, _with_folders
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import open_dataset
from segrt.runtime.evaluate.predictions import open_predictions
from segrt.runtime.files.collisions import tell_apart
from segrt.runtime.files.images import write_image
from segrt.runtime.outputs import coco_results
from segrt.runtime.results import Label

LABELS = (Label("road", 7, False, (1, 2, 3)), Label("car", 26, True, (4, 5, 6)))


def data_set(folder, image_ids):
    """Write a COCO panoptic data set with these image ids, each picture another; return its JSON."""
    (folder / "truth").mkdir(parents=True)
    (folder / "images").mkdir()
    images, annotations = [], []
    for number, image_id in enumerate(image_ids):
        ids = np.ones((20, 30), np.int32)
        ids[5:10, number : number + 5] = 2
        coco_results.write_panoptic_png(folder / "truth" / f"{number}.png", ids)
        write_image(folder / "images" / f"{number}.png", np.zeros((20, 30, 3), np.uint8))
        images.append(coco_results.image_entry(image_id, f"{number}.png", (20, 30)))
        segments = [{"id": 1, "category_id": 7}, {"id": 2, "category_id": 26}]
        annotations.append({"image_id": image_id, "file_name": f"{number}.png", "segments_info": segments})
    coco_results.write_panoptic_json(folder / "truth.json", images, annotations, LABELS)
    return folder / "truth.json"


def save(truth, out):
    """Let `segrt eval` read the truth as predictions, and save them again."""
    return CliRunner().invoke(
        command, ["--annotations", str(truth), "--predictions", str(truth), "--save", str(out), "--as", "panoptic"]
    )


@pytest.mark.parametrize(
    ("image_ids", "names"),
    [
        (["cam1/0001", "cam2/0001"], ["cam1/0001.png", "cam2/0001.png"]),
        (["../../a", "/etc/b", "c/../d"], ["a.png", "c/d.png", "etc/b.png"]),
        ([1, 2], ["1.png", "2.png"]),
    ],
)
def test_each_image_has_a_file_of_its_own_below_the_folder(tmp_path, image_ids, names):
    truth, out = data_set(tmp_path / "data", image_ids), tmp_path / "deep" / "out"
    done = save(truth, out)
    assert done.exit_code == 0, done.exception
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == sorted(
        f"panoptic/{name}" for name in names
    )
    assert {path.name for path in tmp_path.iterdir()} == {"data", "deep"}
    dataset = open_dataset(truth)
    given, saved = open_predictions(truth, dataset), open_predictions(out / "panoptic.json", dataset)
    for sample in dataset.samples:
        expected, read = given.predict(sample, dataset), saved.predict(sample, dataset)
        np.testing.assert_array_equal(read.segment_ids, expected.segment_ids)
        assert [(s.id, s.class_id) for s in read.segments] == [(s.id, s.class_id) for s in expected.segments]


@pytest.mark.parametrize(
    ("image_ids", "message"),
    [
        ([5, "5"], r"images 5 and '5' would both be saved as 5\.png; give them ids that differ"),
        (["a/b", "/a/b"], r"images '/a/b' and 'a/b' would both be saved as a/b\.png"),
        (["a", "a.png/b"], r"image 'a' would be saved as a\.png, which is a folder for image 'a\.png/b'"),
        (["a", "a"], r"has image 'a' twice; --save needs ids that are unique"),
        (["x" * 300], "no file can be named after image 'xxx"),
        (["a\0b"], "no file can be named after image"),
    ],
)
def test_what_would_share_a_file_is_refused_before_the_work(tmp_path, image_ids, message):
    done = save(data_set(tmp_path / "data", image_ids), tmp_path / "out")
    assert isinstance(done.exception, SegrtError)
    with pytest.raises(SegrtError, match=message):
        raise done.exception
    assert "\n" not in str(done.exception)
    assert not list((tmp_path / "out").rglob("*.*"))


def test_objects_are_saved_under_an_id_of_one_image_alone(tmp_path):
    truth = data_set(tmp_path / "data", ["a", "a"])
    content = json.loads(truth.read_text())
    assert len(content["annotations"]) == 2
    done = save(truth, tmp_path / "out")
    assert "twice" in str(done.exception)


def test_names_are_told_apart():
    assert tell_apart(["a", "a", "a-2", "b", "a"]) == ["a", "a-2", "a-2-2", "b", "a-3"]
    subjects = _with_folders([Subject("x/model", print), Subject("y/model", print)], None)
    assert [subject.file_name for subject in subjects] == ["model", "model-2"], "what their pictures are named after"
