"""Folders of label pictures: Cityscapes, VOC, ADE20K and plain ones, written small, are read as they are meant."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import open_dataset
from segrt.runtime.evaluate.truth import PanopticTruth, SemanticTruth
from segrt.runtime.results import Label

LABELS = (
    Label("road", 7, False, (128, 64, 128)),
    Label("person", 24, True, (220, 20, 60)),
    Label("car", 26, True, (0, 0, 142)),
)


def save(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    if mode == "P":
        picture = Image.fromarray(array, "L").convert("P")
        picture.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
        picture = Image.frombytes("P", array.shape[::-1], array.tobytes())
        picture.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    picture.save(path)


def grey(path, size=(20, 30)):
    save(path, np.full((*size, 3), 90, np.uint8))


def classes(ignored=255):
    labels = np.full((20, 30), 7, np.uint8)
    labels[:5] = ignored
    labels[8:16, 3:9] = 26
    labels[8:16, 15:20] = 24
    return labels


def expected():
    found = np.full((20, 30), 0, np.uint8)
    found[:5] = 255
    found[8:16, 3:9] = 2
    found[8:16, 15:20] = 1
    return found


def test_cityscapes_gives_objects_and_leaves_its_other_labels_out(tmp_path):
    ids = classes(ignored=3).astype(np.uint16)
    objects = ids.astype(np.int32)
    objects[8:16, 3:6], objects[8:16, 6:9] = 26_000, 26_001
    base = tmp_path / "gtFine" / "val" / "ulm" / "ulm_000001_000019_gtFine_"
    save(base.with_name(base.name + "labelIds.png"), ids.astype(np.uint8))
    save(base.with_name(base.name + "instanceIds.png"), objects.astype(np.uint16))
    grey(tmp_path / "leftImg8bit" / "val" / "ulm" / "ulm_000001_000019_leftImg8bit.png")
    for folder in (tmp_path, tmp_path / "gtFine", tmp_path / "gtFine" / "val"):
        dataset = open_dataset(folder, labels=LABELS)
        assert dataset.techniques == ("semantic", "instance", "panoptic")
        (sample,) = dataset.samples
        assert dataset.read_image(sample).shape == (20, 30, 3)
        truth = dataset.read_truth(sample)
        assert isinstance(truth, PanopticTruth)
        assert (truth.class_map() == expected()).all()
        described = sorted((segment.class_id, segment.iscrowd) for segment in truth.segments)
        # Two cars by number; the person's label without a number is a group.
        assert described == [(0, False), (1, True), (2, False), (2, False)]
        assert len(truth.objects()) == 3


def test_voc_pairs_palette_pictures_of_classes_and_objects(tmp_path):
    save(tmp_path / "SegmentationClass" / "2007_1.png", classes(), "P")
    objects = np.zeros((20, 30), np.uint8)
    objects[8:16, 3:9], objects[8:16, 15:20], objects[:5] = 1, 2, 255
    save(tmp_path / "SegmentationObject" / "2007_1.png", objects, "P")
    save(tmp_path / "SegmentationClass" / "2007_2.png", classes(), "P")
    grey(tmp_path / "JPEGImages" / "2007_1.jpg")
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_1\n")
    dataset = open_dataset(tmp_path, labels=LABELS)
    truth = dataset.read_truth(dataset.samples[0])
    assert dataset.techniques == ("semantic", "instance", "panoptic")
    assert (truth.class_map() == expected()).all()
    assert sorted((s.class_id, s.iscrowd) for s in truth.segments) == [(0, False), (1, False), (2, False)]


def test_ade20k_counts_zero_as_void(tmp_path):
    save(tmp_path / "annotations" / "validation" / "ADE_1.png", classes(ignored=0))
    grey(tmp_path / "images" / "validation" / "ADE_1.jpg")
    dataset = open_dataset(tmp_path, labels=LABELS)
    truth = dataset.read_truth(dataset.samples[0])
    assert isinstance(truth, SemanticTruth)
    assert dataset.techniques == ("semantic",)
    assert (truth.class_map() == expected()).all()


def test_a_plain_folder_holds_ids_or_colours(tmp_path):
    save(tmp_path / "labels" / "one_L.png", classes(ignored=9))
    colors = np.zeros((20, 30, 3), np.uint8)
    for index, label in enumerate(LABELS):
        colors[expected() == index] = label.color
    save(tmp_path / "labels" / "two.png", colors)
    grey(tmp_path / "images" / "one.png")
    grey(tmp_path / "images" / "two.png")
    dataset = open_dataset(tmp_path / "labels", labels=LABELS, ignored=(9,))
    assert [sample.image_id for sample in dataset.samples] == ["one_L", "two"]
    for sample in dataset.samples:
        assert (dataset.read_truth(sample).class_map() == expected()).all()
    strict = open_dataset(tmp_path / "labels", labels=LABELS)
    with pytest.raises(SegrtError, match=r"one_L\.png holds class id 9, which is no class of the label list"):
        strict.read_truth(strict.samples[0])


def test_a_folder_around_a_json_is_answered_with_the_json(tmp_path):
    streets = tmp_path / "streets"
    (streets / "images").mkdir(parents=True)
    for name in ("instances.json", "panoptic.json"):
        (streets / name).write_text("{}")
    for labels in (LABELS, None):
        with pytest.raises(SegrtError, match=r"streets holds no label pictures; give \S+/streets/panoptic\.json$"):
            open_dataset(streets, labels=labels)


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(SegrtError, match="holds no label pictures"):
        open_dataset(tmp_path / "labels", labels=LABELS)
    save(tmp_path / "labels" / "one.png", classes())
    with pytest.raises(SegrtError, match=r"one\.png has no picture one\.\*"):
        open_dataset(tmp_path / "labels", labels=LABELS)
    with pytest.raises(SegrtError, match="does not name its classes; give --labels"):
        open_dataset(tmp_path / "labels")
    grey(tmp_path / "images" / "one.png")
    (tmp_path / "labels" / "one.png").write_bytes(b"no picture")
    dataset = open_dataset(tmp_path / "labels", labels=LABELS)
    with pytest.raises(SegrtError, match=r"one\.png is no readable picture"):
        dataset.read_truth(dataset.samples[0])


def test_the_command_evaluates_saved_stuff_on_a_folder(tmp_path):
    from segrt.runtime.results import rle

    save(tmp_path / "labels" / "one.png", classes())
    grey(tmp_path / "images" / "one.png")
    (tmp_path / "classes.json").write_text(json.dumps([{"name": v.name, "id": v.dataset_id} for v in LABELS]))
    entries = []
    for index, label in enumerate(LABELS):
        code = rle.encode(expected() == index)
        code = {"size": code["size"], "counts": code["counts"].decode()}
        entries.append({"image_id": "one", "category_id": label.dataset_id, "segmentation": code})
    (tmp_path / "stuff.json").write_text(json.dumps(entries))
    for listed in (tmp_path / "classes.json", "cityscapes"):
        arguments = ["--annotations", tmp_path / "labels", "--labels", listed]
        arguments += ["--predictions", tmp_path / "stuff.json", "--boundary", "--json", tmp_path / "out.json"]
        outcome = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
        assert outcome.exit_code == 0
        metrics = json.loads((tmp_path / "out.json").read_text())["metrics"]
        assert set(metrics.values()) == {1.0}
        assert "boundary_iou" in metrics
