"""`segrt eval`'s options: bad files skipped and counted, several processes, all techniques, predictions saved."""

import json

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.cli.eval_report import _figure
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import open_dataset
from segrt.runtime.evaluate.class_matching import ClassMismatchError
from segrt.runtime.evaluate.datasets.street_dataset import open_street
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.measuring import Options, measure, worst
from segrt.runtime.evaluate.predictions import PredictionsOpener, open_predictions
from segrt.runtime.evaluate.segmenting import SegmenterPredictor
from segrt.runtime.evaluate.workers import measure_parallel
from segrt.runtime.results import Label, PanopticResult, Segment, SemanticResult

STREET = "street://?seed=700000&frames=5&size=64x96"


class Seer:
    """A panoptic segmenter that is told the truth of the next picture; of every second one it confuses two classes."""

    technique = "panoptic"

    def __init__(self, dataset, labels=None, names=None):
        self.labels = labels or dataset.labels
        self.names = names
        self.dataset = dataset
        self.calls = 0

    def __call__(self, image):  # noqa: ARG002, D102
        sample = self.dataset.samples[self.calls]
        truth = self.dataset.read_truth(sample)
        wrong = self.calls % 2
        names = self.names or [label.name for label in self.labels]
        self.calls += 1
        segments = []
        for segment in truth.segments:
            name = self.dataset.labels[segment.class_id].name
            name = {"road": "grass", "grass": "road"}.get(name, name) if wrong else name
            if name in names and not segment.iscrowd:
                class_id = names.index(name)
                thing = self.labels[class_id].isthing
                segments.append(Segment(segment.id, class_id, thing, 0.9, 1, (0, 0, 1, 1)))
        known = [segment.id for segment in segments]
        ids = np.where(np.isin(truth.segment_ids, known), truth.segment_ids, 0).astype(np.int32)
        return PanopticResult(ids, segments, tuple(self.labels))


@pytest.fixture
def street():
    return open_street(STREET)


def predictor(street, **options):
    return SegmenterPredictor(Seer(street, **options), "seer")


def save(street, folder):
    """Save the seer's predictions through the sink; return the JSON."""
    from segrt.runtime.evaluate.prediction_writer import PredictionSink

    sink = PredictionSink(folder)
    outcome = measure(predictor(street), street, sink=sink)
    return sink.write("panoptic", outcome.entries, street, outcome.match.labels)


def test_a_street_is_a_data_set_by_its_address(street):
    assert [sample.image_id for sample in street.samples] == list(range(700_000, 700_005))
    sample = street.samples[1]
    assert street.read_image(sample).shape == (64, 96, 3)
    assert street.read_truth(sample).size == (64, 96)
    assert open_dataset(STREET) == street
    assert open_dataset("street://?seed=700000&frames=5&width=96&height=64") == street
    assert street.path == "street://?seed=700000&frames=5&width=96&height=64"
    assert open_dataset("street://?width=192&height=320").size == (320, 192)
    for address, message in (
        ("street://?seed=x", "seed=x must be a whole number; write"),
        ("street://?size=9", r"size=9 must be HEIGHTxWIDTH, each 10 to 8192 pixels; write street://"),
        ("street://?size=5x5", r"size=5x5 must be HEIGHTxWIDTH, each 10 to 8192 pixels; write street://"),
        (
            "street://?size=1280x720",
            r"size=1280x720: height comes first here; did you mean 720x1280\? If not, write width=",
        ),
        ("street://?width=320", "width and height go together, without size"),
        ("street://?width=320&height=192&size=192x320", "width and height go together, without size"),
        ("street://?width=9&height=192", "width=9 must be 10 to 8192 pixels; write"),
        ("street://?frames=0", "frames=0 must be 1 to 1000000; write"),
        ("street://?frames=99999999999", "frames=99999999999 must be 1 to 1000000; write"),
        ("street://?seed=99999999999", "seed=99999999999 must be 0 to 999999999; write"),
        ("street://?town=3", "'town' is unknown"),
    ):
        with pytest.raises(SegrtError, match=message):
            open_dataset(address)


def test_what_did_not_change_has_no_minus():
    outcome = Evaluation("panoptic", 1, {"pq": 0.8651}, {}, drops={"pq": 0.00001})
    assert _figure(outcome, "pq") == "0.8651 (+0.0000)"
    assert _figure(msgspec.structs.replace(outcome, drops={"pq": 0.002}), "pq") == "0.8651 (-0.0020)"


def test_a_panoptic_result_is_judged_in_all_three_techniques(street):
    outcome = measure(predictor(street), street, Options("all", boundary=True, rank=True))
    found = {evaluation.technique: evaluation for evaluation in outcome.evaluations("panoptic")}
    assert list(found) == ["semantic", "instance", "panoptic"]
    assert [evaluation.converted_from for evaluation in found.values()] == ["panoptic", "panoptic", None]
    # Things are right, two kinds of stuff are confused in two of five pictures.
    assert found["panoptic"].metrics["pq_things"] == found["panoptic"].metrics["pc_things"] == 1.0
    assert found["panoptic"].metrics["pq_stuff"] < 0.95
    assert found["instance"].metrics["ap50"] == pytest.approx(1.0)
    assert 0.5 < found["semantic"].metrics["miou"] < 0.95
    assert found["semantic"].metrics["boundary_iou"] < 1.0
    assert [image_id for image_id, _ in worst(outcome, "panoptic", 2)] in ([700_001, 700_003], [700_003, 700_001])
    assert worst(outcome, "instance", 1)[0][1] == pytest.approx(1.0)


def test_techniques_that_a_result_cannot_be_judged_in_are_refused(street):
    class Semantic(Seer):
        technique = "semantic"

        def __call__(self, image):
            return super().__call__(image).to_semantic()

    assert isinstance(Semantic(street)(None), SemanticResult)
    with pytest.raises(SegrtError, match="gives semantic results, which cannot be judged as panoptic"):
        measure(SegmenterPredictor(Semantic(street), "seer"), street, Options("panoptic"))
    outcome = measure(SegmenterPredictor(Semantic(street), "seer"), street, Options("all"))
    assert list(outcome.meters) == ["semantic"]


def test_saved_predictions_and_several_processes_give_the_same_figures(street, tmp_path):
    path = save(street, tmp_path / "saved")
    read = open_predictions(path, street)
    one = measure(read, street, Options("all")).evaluations("panoptic")
    many = measure_parallel(PredictionsOpener(read), street, Options("all"), workers=2).evaluations("panoptic")
    direct = measure(predictor(street), street, Options("all")).evaluations("panoptic")
    assert one == many
    assert one[0] == direct[0]
    assert one[2] == direct[2]


@pytest.mark.parametrize(("technique", "metric"), [("semantic", "miou"), ("instance", "ap")])
def test_other_results_are_saved_in_cocos_formats_and_read_again(street, tmp_path, technique, metric):
    class Other(Seer):
        def __call__(self, image):
            result = super().__call__(image)
            return result.to_semantic() if technique == "semantic" else result.to_instances()

    from segrt.runtime.evaluate.prediction_writer import PredictionSink

    seer = Other(street)
    seer.technique = technique
    if technique == "instance":
        seer.labels = tuple(label for label in street.labels if label.isthing)
    sink = PredictionSink(tmp_path)
    outcome = measure(SegmenterPredictor(seer, "seer"), street, sink=sink)
    path = sink.write(technique, outcome.entries, street, outcome.match.labels)
    read = open_predictions(path, street)
    assert read.technique == technique
    again = measure(read, street).evaluations(technique)[0]
    assert again.metrics[metric] == pytest.approx(outcome.evaluations(technique)[0].metrics[metric], abs=1e-9)
    assert 0.5 < again.metrics[metric] <= 1.0


def test_bad_files_are_skipped_and_counted_when_asked(street, tmp_path):
    path = save(street, tmp_path)
    (tmp_path / "panoptic" / "700002.png").write_bytes(b"no picture")
    read = open_predictions(path, street)
    with pytest.raises(SegrtError, match=r"700002\.png is no readable picture"):
        measure(read, street)
    outcome = measure(read, street, Options(skip_bad=True))
    evaluation = outcome.evaluations("panoptic")[0]
    assert (evaluation.images, evaluation.skipped) == (4, 1)
    assert "700002.png" in outcome.skipped[0]
    for png in (tmp_path / "panoptic").iterdir():
        png.unlink()
    with pytest.raises(SegrtError, match=r"all 5 images .* were skipped"):
        measure(read, street, Options(skip_bad=True))


def test_common_classes_are_evaluated_on_request(street):
    kept = tuple(label for label in street.labels if label.name not in ("sky", "car"))
    other = Label("boat", 77, True, (0, 0, 0))
    labels = (other, *(Label(label.name, label.dataset_id + 50, label.isthing, label.color) for label in kept))
    with pytest.raises(ClassMismatchError, match="evaluate --common-classes") as caught:
        measure(predictor(street, labels=labels), street)
    assert ("sky", None, 1) in caught.value.rows
    assert ("boat", 77, None) in caught.value.rows
    outcome = measure(predictor(street, labels=labels), street, Options("all", common_classes=True))
    semantic, instance, panoptic = outcome.evaluations("panoptic")
    assert set(semantic.per_class) == set(panoptic.per_class) == {label.name for label in kept}
    assert set(instance.per_class) == {label.name for label in kept if label.isthing}
    assert panoptic.metrics["pq_things"] == 1.0
    with pytest.raises(ClassMismatchError, match="no class name in common"):
        measure(predictor(street, labels=(other,)), street, Options(common_classes=True))


def test_a_class_counts_as_another_where_it_is_mapped(street):
    renamed = tuple(
        Label("automobile" if label.name == "car" else label.name, label.dataset_id + 50, label.isthing, label.color)
        for label in street.labels
    )
    names = [label.name for label in street.labels]
    options = Options("own", common_classes=True, renamed=(("Automobile", "car"),))
    outcome = measure(predictor(street, labels=renamed, names=names), street, options)
    assert outcome.match.left_out == ""
    own = measure(predictor(street), street).evaluations("panoptic")[0]
    assert outcome.evaluations("panoptic")[0].metrics == own.metrics
    assert own.metrics["pq_things"] == 1.0
    outcome = measure(predictor(street, labels=renamed, names=names), street, Options(common_classes=True))
    assert outcome.match.left_out == f"automobile of seer; car of {street.path}"
    assert "car" not in outcome.evaluations("panoptic")[0].per_class
    for pair, message in (
        (("automobil", "car"), r"--map automobil=car: seer has no class 'automobil'; did you mean 'automobile'\?"),
        (("automobile", "kar"), "--map automobile=kar: street://.* has no class 'kar'; did you mean 'car'"),
        (("road", "grass"), "--map: several classes of seer become 'grass', stuff that a panoptic"),
    ):
        with pytest.raises(SegrtError, match=message):
            measure(
                predictor(street, labels=renamed, names=names), street, Options(common_classes=True, renamed=(pair,))
            )


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_what_is_evaluated_is_not_replaced(street, tmp_path):
    path = save(street, tmp_path / "mine")
    before = {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    for options, what in (
        (["--json", path], "the predictions file"),
        (["--save", path.parent], "the predictions file"),
        (["--save", tmp_path / "new", "--json", tmp_path / "new" / "panoptic.json"], "the --json file"),
    ):
        outcome = run("--annotations", STREET, "--predictions", path, *options)
        assert f"is {what} itself" in str(outcome.exception)
    as_truth = ["--annotations", path, "--predictions", tmp_path / "other.json"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other.json").write_bytes(path.read_bytes())
    for options in (["--json", path], ["--save", path.parent]):
        assert "is the annotations itself" in str(run(*as_truth, *options).exception)
    assert {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()} == before


def test_the_command_compares_with_the_first_and_saves(street, tmp_path):
    path = save(street, tmp_path / "mine")
    output = tmp_path / "out.json"
    arguments = ["--annotations", STREET, "--predictions", path, "--as", "all", "--json", output]
    outcome = run(*arguments, "--save", tmp_path / "again")
    assert outcome.exit_code == 0, outcome.exception
    assert "all techniques" in outcome.output
    runs = json.loads(output.read_text())["runs"]
    assert [entry["technique"] for entry in runs] == ["semantic", "instance", "panoptic"]
    assert all("against" not in entry for entry in runs)
    again = json.loads((tmp_path / "again" / "panoptic.json").read_text())
    saved = json.loads(path.read_text())
    assert again["categories"] == saved["categories"]
    for entry, before in zip(again["annotations"], saved["annotations"], strict=True):
        described = [[(s["id"], s["category_id"]) for s in part["segments_info"]] for part in (entry, before)]
        assert described[0] == described[1]
