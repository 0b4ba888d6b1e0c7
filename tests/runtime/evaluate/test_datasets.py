"""Data sets and predictions: a segmenter that says the truth is perfect, and what does not fit is named in one line."""

import json
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate, evaluate_predictions, open_dataset
from segrt.runtime.outputs import coco_results
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle

LABELS = (
    Label("road", 21, False, (110, 90, 150)),
    Label("car", 3, True, (40, 110, 240)),
    Label("person", 1, True, (230, 60, 80)),
)


def scene(number):
    """A 60 x 80 map: road below, a car, two people, and above them a crowd and void."""
    ids = np.zeros((60, 80), np.int32)
    ids[30:] = 70_001
    ids[20:40, 5 + number : 30 + number] = 2
    ids[25:55, 40:46] = 3
    ids[25:55, 60:67] = 4
    ids[2:10, 50:78] = 5
    return ids


SEGMENTS = {70_001: 0, 2: 1, 3: 2, 4: 2, 5: 2}


@pytest.fixture
def folder(tmp_path):
    """A COCO panoptic data set of three pictures; picture n is grey of level n."""
    images, annotations = [], []
    (tmp_path / "images").mkdir()
    (tmp_path / "truth").mkdir()
    for number in range(3):
        ids = scene(number)
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((60, 80, 3), number, np.uint8))
        coco_results.write_panoptic_png(tmp_path / "truth" / f"{number}.png", ids)
        images.append({"id": number, "file_name": f"{number}.png", "height": 60, "width": 80})
        info = [
            {
                "id": identity,
                "category_id": LABELS[class_id].dataset_id,
                "iscrowd": int(identity == 5),
                "area": int((ids == identity).sum()),
                "bbox": list(cv2.boundingRect((ids == identity).astype(np.uint8))),
            }
            for identity, class_id in SEGMENTS.items()
        ]
        annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": info})
    coco_results.write_panoptic_json(tmp_path / "truth.json", images, annotations, LABELS)
    return tmp_path


class Oracle:
    """A segmenter that knows the truth; its classes are in another order than the data set's."""

    def __init__(self, technique):
        self.technique = technique
        order = [2, 1] if technique == "instance" else [2, 0, 1]
        self.labels = tuple(LABELS[index] for index in order)
        self.own = {index: position for position, index in enumerate(order)}

    def __call__(self, image):  # noqa: D102
        ids = scene(int(image[0, 0, 0]))
        if self.technique == "semantic":
            class_map = np.full(ids.shape, 255, np.uint8)
            for identity, class_id in SEGMENTS.items():
                class_map[ids == identity] = self.own[class_id]
            return SemanticResult(class_map, self.labels)
        chosen = [(i, c) for i, c in SEGMENTS.items() if i != 5 and c in self.own]
        if self.technique == "instance":
            return InstanceResult(
                np.zeros((len(chosen), 4), np.float32),
                np.linspace(0.9, 0.5, len(chosen), dtype=np.float32),
                np.array([self.own[c] for _, c in chosen]),
                [rle.encode(ids == i) for i, _ in chosen],
                ids.shape,
                self.labels,
            )
        segments = [Segment(i, self.own[c], LABELS[c].isthing, 0.9, 1, (0, 0, 1, 1)) for i, c in chosen]
        return PanopticResult(np.where(ids == 5, 0, ids).astype(np.int32), segments, self.labels)


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


def save_predictions(folder, technique):
    """Let the oracle predict, write its results as COCO files, return the path."""
    oracle = Oracle(technique)
    path = folder / f"{technique}.json"
    results = [oracle(np.full((60, 80, 3), number, np.uint8)) for number in range(3)]
    if technique == "instance":
        path.write_text(json.dumps([e for n, r in enumerate(results) for e in r.to_coco(n)]))
    else:
        with coco_results.PanopticFolder(path, oracle.labels) as writer:
            for number, result in enumerate(results):
                writer.add(result, number, f"{number}.png")
    return path


@pytest.mark.parametrize(("technique", "name"), [("instance", "ap"), ("panoptic", "pq")])
def test_saved_predictions_give_the_figures_of_the_model(folder, technique, name):
    result = evaluate_predictions(save_predictions(folder, technique), open_dataset(folder / "truth.json"))
    assert result.technique == technique
    assert result.metrics[name] == pytest.approx(1.0)


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
