"""Clips as data sets: all layouts give the same figures, and bundles are tracked."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from made_clips import LABELS

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.evaluate import evaluate, evaluate_predictions, open_dataset
from segrt.runtime.evaluate.clips import tracked_predictor
from segrt.runtime.evaluate.datasets.dataset import clips_of
from segrt.runtime.evaluate.measuring import Options
from segrt.runtime.evaluate.predictions import PredictionsOpener, open_predictions
from segrt.runtime.evaluate.workers import measure_parallel
from segrt.runtime.results import PanopticResult, rle

STREET = "street://?clips=2&seed=5&frames=8&width=96&height=64&fps=4"


def test_kitti_step_gives_the_figures_of_coco_panoptic_video(made: SimpleNamespace) -> None:
    of_json = evaluate_predictions(made.predicted, open_dataset(made.truth))
    step = open_dataset(made.step, labels=LABELS)
    assert [clip.name for clip in clips_of(step)] == ["0000", "0001", "0002"]
    of_step = evaluate_predictions(made.step_predicted, step)
    assert of_step.metrics == pytest.approx(of_json.metrics)
    assert of_step.per_class == {name: pytest.approx(figures) for name, figures in of_json.per_class.items()}


def test_kitti_step_has_cityscapes_classes_by_their_train_ids(tmp_path: Path) -> None:
    maps = tmp_path / "panoptic_maps" / "0001"
    maps.mkdir(parents=True)
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4] = (44, 1, 13)  # car 300; then road
    picture[6:, :4], picture[6:, 4:] = (0, 0, 13), (0, 0, 255)
    cv2.imwrite(str(maps / "000000.png"), picture)
    data = open_dataset(tmp_path / "panoptic_maps")
    truth = data.read_truth(data.samples[0])
    found = {
        (data.labels[item.class_id].name, item.iscrowd): int((truth.ids == item.id).sum()) for item in truth.segments
    }
    assert found == {("car", False): 32, ("road", False): 16, ("car", True): 8}
    assert (truth.ids == 0).sum() == 8
    assert sorted(label.name for label in data.labels if label.isthing) == ["car", "person"]


def test_street_clips_are_the_same_from_files_and_by_their_address(street: Path) -> None:
    by_address, files = open_dataset(STREET), open_dataset(street / "panoptic.json")
    assert by_address.path == STREET
    assert [sample.image_id for sample in by_address.samples] == [sample.image_id for sample in files.samples]
    for one, other in zip(by_address.samples, files.samples, strict=True):
        np.testing.assert_array_equal(by_address.read_image(one), files.read_image(other))
        np.testing.assert_array_equal(by_address.read_truth(one).segment_ids, files.read_truth(other).segment_ids)
    for data in (by_address, files, open_dataset(street / "objects.json")):
        metrics = evaluate_predictions(street / "objects.json", data).metrics
        assert metrics == dict.fromkeys(metrics, 1.0)


def test_youtube_vis_results_are_objects_in_their_order(street: Path, tmp_path: Path) -> None:
    content = json.loads((street / "objects.json").read_text())
    results = [
        {name: entry[name] for name in ("video_id", "category_id", "segmentations")} | {"score": 0.5}
        for entry in content["annotations"]
    ]
    for entry in results[::2]:  # YouTube-VIS's own truth has plain runs
        entry["segmentations"] = [plain(mask) for mask in entry["segmentations"]]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    metrics = evaluate_predictions(path, open_dataset(street / "objects.json")).metrics
    assert metrics == dict.fromkeys(metrics, 1.0)


def plain(mask):
    """Return a mask's run lengths as plain numbers, None for none."""
    if mask is None:
        return None
    bits = rle.decode({"size": mask["size"], "counts": mask["counts"].encode()}).T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bits.view(np.int8), [0]])))
    edges = np.concatenate([[0], edges, [bits.size]]) if not bits[-1] else np.concatenate([[0], edges])
    return {"size": mask["size"], "counts": np.diff(edges).tolist()}


def test_workers_change_no_figure(made: SimpleNamespace) -> None:
    data = open_dataset(made.truth)
    predictor = open_predictions(made.predicted, data)
    parallel = measure_parallel(PredictionsOpener(predictor), data, Options(clips=True), workers=2)
    assert parallel.evaluations("panoptic")[0] == evaluate_predictions(made.predicted, data)


class Truthful:
    """A segmenter that knows the street, in the order of its frames; its ids are new in every frame."""

    technique = "panoptic"

    def __init__(self, data) -> None:
        self.labels = data.labels
        self._data, self._truths = data, iter(data.samples)

    def __call__(self, image):  # noqa: D102
        result = self._data.read_truth(next(self._truths)).to_result()
        return PanopticResult(result.segment_ids, result.segments, result.labels, image=image)


class KnowingTracker:
    """Follows ids that last by themselves; keeps what it was asked."""

    asked: list[tuple[int, float | None, bool]]

    def __init__(self) -> None:
        self.frames = 0

    def update(self, result, pts=None, image=None):  # noqa: D102
        self.asked.append((self.frames, pts, image is not None))
        self.frames += 1
        return result.with_tracks([item.id for item in result.segments])


def test_a_segmenter_is_tracked_clip_by_clip() -> None:
    data = open_dataset(STREET)
    KnowingTracker.asked = []
    metrics = evaluate(Truthful(data), data, tracker=KnowingTracker).metrics
    assert metrics == {name: None if name.startswith(("vpq_10", "vpq_15")) else 1.0 for name in metrics}
    assert KnowingTracker.asked == [(index, index / 4.0, True) for _ in range(2) for index in range(8)]


def test_a_bundle_is_tracked_and_its_table_names_the_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    KnowingTracker.asked = []
    monkeypatch.setattr(tracked_predictor, "own_tracker", ByClass)
    output = tmp_path / "figures.json"
    arguments = ["street-instance", "street-panoptic", "--annotations", STREET, "--json", str(output), "--per-class"]
    made = ["--save", str(tmp_path / "saved"), "--pictures", str(tmp_path / "drawn"), "--worst", "1"]
    done = CliRunner().invoke(command, [*arguments, *made])
    assert done.exit_code == 0, done.output
    runs = json.loads(output.read_text())["runs"]
    assert [run["technique"] for run in runs] == ["instance", "panoptic"]
    assert {"hota", "deta", "assa", "loca", "idf1", "mota"} == set(runs[0]["metrics"])
    assert {"vpq", "vpq_1", "vpq_5_stuff", "stq", "aq", "stq_iou", "hota", "idf1"} <= set(runs[1]["metrics"])
    assert 0 < runs[0]["metrics"]["hota"] < 1
    assert 0.2 < runs[1]["metrics"]["vpq_1"] < 1
    assert runs[1]["images"] == 16
    assert "frames" in done.output
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == [
        "street-instance-clip-street-000005.png",
        "street-instance-instance-classes.png",
        "street-panoptic-clip-street-000005.png",
        "street-panoptic-panoptic-classes.png",
    ]
    for name, run in zip(("0-street-instance/instances.json", "1-street-panoptic/panoptic.json"), runs, strict=True):
        again = evaluate_predictions(tmp_path / "saved" / name, open_dataset(STREET))
        assert again.metrics == pytest.approx(run["metrics"], abs=1e-12), name


class ByClass:
    """A bad tracker: the n-th object of a class is one track."""

    def update(self, result, pts=None, image=None):  # noqa: ARG002, D102
        seen: dict[int, int] = {}
        tracks = []
        for item in result:
            seen[item.class_id] = seen.get(item.class_id, 0) + 1
            tracks.append(100 * item.class_id + seen[item.class_id])
        return result.with_tracks(tracks)


def test_the_flat_layout_of_vpsnet_gives_the_figures_of_coco_panoptic_video(made: SimpleNamespace) -> None:
    expected = evaluate_predictions(made.predicted, open_dataset(made.truth))
    flat = open_dataset(made.flat)
    assert [(clip.name, clip.stop - clip.start) for clip in clips_of(flat)] == [(f"000{n}", 17) for n in (1, 2, 3)]
    found = evaluate_predictions(made.flat_predicted, flat)
    assert found.metrics == expected.metrics
    assert found.metrics["vpq"] is not None


@pytest.mark.parametrize(("side", "layout"), [("truth", "predicted"), ("flat", "flat_predicted")])
@pytest.mark.parametrize("workers", [1, 2])
def test_saved_predictions_of_clips_are_read_again_with_the_same_figures(
    made: SimpleNamespace, tmp_path: Path, side: str, layout: str, workers: int
) -> None:
    truth, saved = str(getattr(made, side)), tmp_path / "saved"
    given = ["--annotations", truth, "--predictions", str(getattr(made, layout)), "--save", str(saved)]
    done = CliRunner().invoke(command, [*given, "--workers", str(workers)])
    assert done.exit_code == 0, done.output
    assert ("video_id" in json.loads((saved / "panoptic.json").read_text())["annotations"][0]) == (side == "truth")
    again = evaluate_predictions(saved / "panoptic.json", open_dataset(truth))
    assert again.metrics == evaluate_predictions(getattr(made, layout), open_dataset(truth)).metrics


def test_pages_of_clips_have_each_object_in_its_tracks_shade(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[int | None]] = []

    def seen(image, result, **_: object):
        drawn.append([item.track_id for item in result])
        return image

    monkeypatch.setattr("segrt.runtime.evaluate.clips.clip_pictures.overlay", seen)
    path, out = str(street / "objects.json"), str(tmp_path / "out")
    given = ["--annotations", path, "--predictions", path, "--images", str(street / "images"), "--pictures", out]
    done = CliRunner().invoke(command, given)
    assert done.exit_code == 0, done.output
    known = {entry["id"] for entry in json.loads(Path(path).read_text())["annotations"]}
    assert len(drawn) == 2 * 2 * 5, "truth and prediction of five frames of two clips"
    assert drawn[0] == drawn[1]
    assert set().union(*drawn) <= known
    assert any(drawn)
