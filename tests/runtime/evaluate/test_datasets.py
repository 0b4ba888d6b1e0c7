"""Data sets and predictions: a segmenter that says the truth is perfect, and one that does not is not."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from oracle import LABELS, SEGMENTS, Oracle, save_predictions, scene

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate, evaluate_predictions, open_dataset
from segrt.runtime.results import Label


@pytest.mark.parametrize(
    ("technique", "names"),
    [
        ("semantic", ["miou", "pixel_accuracy", "mean_accuracy"]),
        ("instance", ["ap", "ap50", "ap75"]),
        ("panoptic", ["pq", "sq", "rq", "pq_things", "pq_stuff"]),
    ],
)
def test_one_panoptic_data_set_serves_all_three_techniques(folder, technique, names):
    steps = []
    dataset = open_dataset(folder / "truth.json")
    result = evaluate(Oracle(technique), dataset, progress=lambda done, total: steps.append((done, total)))
    assert result.technique == technique
    assert result.images == 3
    assert [result.metrics[name] for name in names] == pytest.approx([1.0] * len(names))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    kept = {"car", "person"} if technique == "instance" else {"road", "car", "person"}
    assert set(result.per_class) == kept


def test_a_wrong_segmenter_is_not_perfect(folder):
    class Blind(Oracle):
        def __call__(self, image):
            return super().__call__(np.full_like(image, 9))

    for technique, name in (("semantic", "miou"), ("instance", "ap"), ("panoptic", "pq")):
        result = evaluate(Blind(technique), open_dataset(folder / "truth.json"))
        assert 0.0 < result.metrics[name] < 1.0


def test_classes_that_differ_are_named(folder):
    dataset = open_dataset(folder / "truth.json")

    def run(*labels):
        oracle = Oracle("panoptic")
        oracle.labels = labels
        return evaluate(oracle, dataset, name="my-bundle")

    car = LABELS[1]
    with pytest.raises(SegrtError, match="'car' has id 7 in my-bundle, but 3 in the data set"):
        run(LABELS[0], Label("car", 7, True, (0, 0, 0)), LABELS[2])
    with pytest.raises(SegrtError, match="id 3 is 'auto' in my-bundle, but 'car' in the data set"):
        run(LABELS[0], Label("auto", 3, True, (0, 0, 0)), LABELS[2])
    with pytest.raises(SegrtError, match=r"'boat' \(id 99\) is not in the data set"):
        run(*LABELS, Label("boat", 99, True, (0, 0, 0)))
    with pytest.raises(SegrtError, match=r"'person' \(id 1\) of the data set is not in my-bundle"):
        run(LABELS[0], car)
    with pytest.raises(SegrtError, match="and 2 more"):
        run(*(Label(f"other {index}", 200 + index, True, (0, 0, 0)) for index in range(5)))


def as_instances(folder):
    """Write the data set's things as COCO instances, with polygons; return the path."""
    objects = []
    images = []
    for number in range(3):
        images.append({"id": number, "file_name": f"{number}.png", "height": 60, "width": 80})
        for identity in (2, 3, 4):
            x, y, w, h = cv2.boundingRect((scene(number) == identity).astype(np.uint8))
            objects.append(
                {
                    "id": len(objects) + 1,
                    "image_id": number,
                    "category_id": LABELS[SEGMENTS[identity]].dataset_id,
                    "iscrowd": 0,
                    "area": w * h,
                    "bbox": [x, y, w, h],
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )
    categories = [{"id": label.dataset_id, "name": label.name} for label in LABELS if label.isthing]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))
    return path


def test_an_instances_data_set_serves_instance_models_alone(folder):
    dataset = open_dataset(as_instances(folder))
    result = evaluate(Oracle("instance"), dataset)
    assert result.metrics["ap"] == pytest.approx(1.0)
    with pytest.raises(SegrtError, match=r"instances\.json holds instances, but a panoptic model needs"):
        evaluate(Oracle("panoptic"), dataset)


@pytest.mark.parametrize(("technique", "name"), [("instance", "ap"), ("panoptic", "pq")])
def test_saved_predictions_give_the_figures_of_the_model(folder, technique, name):
    result = evaluate_predictions(save_predictions(folder, technique), open_dataset(folder / "truth.json"))
    assert result.technique == technique
    assert result.metrics[name] == pytest.approx(1.0)


def test_no_detections_at_all_are_a_result(folder):
    (folder / "none.json").write_text("[]")
    result = evaluate_predictions(folder / "none.json", open_dataset(folder / "truth.json"))
    assert result.metrics["ap"] == 0.0


def test_the_command_writes_the_figures_as_json(folder):
    predictions = save_predictions(folder, "panoptic")
    arguments = ["--annotations", folder / "truth.json", "--predictions", predictions, "--json", folder / "out.json"]
    outcome = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert outcome.exit_code == 0
    assert "1.0000" in outcome.output
    content = json.loads((folder / "out.json").read_text())
    assert content["technique"] == "panoptic"
    assert content["images"] == 3
    assert content["metrics"]["pq"] == 1.0
    assert content["per_class"]["car"] == {"pq": 1.0, "sq": 1.0, "rq": 1.0, "pc": 1.0}


def test_the_command_refuses_a_folder_as_output_before_the_work(folder):
    predictions = save_predictions(folder, "panoptic")
    arguments = ["--annotations", folder / "truth.json", "--predictions", predictions, "--json", folder]
    outcome = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert isinstance(outcome.exception, SegrtError)
    assert "is a folder; give --json a file" in str(outcome.exception)
    assert not outcome.output


def test_the_command_wants_bundles_or_predictions(folder):
    outcome = CliRunner().invoke(command, ["--annotations", str(folder / "truth.json")])
    assert isinstance(outcome.exception, SegrtError)
    assert "give bundles or --predictions" in str(outcome.exception)
