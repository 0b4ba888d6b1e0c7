"""Clips as data sets: all layouts give the same figures, bundles are tracked, what does not fit is refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from made_clips import LABELS, made_clips, write_flat, write_panoptic_video, write_step

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate, evaluate_predictions, open_dataset
from segrt.runtime.evaluate.clips import tracked_predictor
from segrt.runtime.evaluate.datasets.dataset import clips_of
from segrt.runtime.evaluate.measuring import Options
from segrt.runtime.evaluate.predictions import PredictionsOpener, open_predictions
from segrt.runtime.evaluate.workers import measure_parallel
from segrt.runtime.results import PanopticResult, rle
from segrt.runtime.streetworld.clips import StreetClip
from segrt.runtime.streetworld.writing import write_clips

STREET = "street://?clips=2&seed=5&frames=8&width=96&height=64&fps=4"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The made clips in the layouts of panoptic maps: `truth` and `predicted` JSON, `step` and `step_predicted`."""
    folder = tmp_path_factory.mktemp("made")
    clips = made_clips(crowd=True)
    sides = [[getattr(frame, side) for frame in clip] for side in ("truth", "predicted") for clip in clips]
    truth, predicted = sides[:3], sides[3:]
    return SimpleNamespace(
        flat=write_flat(folder / "flat", truth, truth=True),
        flat_predicted=write_flat(folder / "flat_guessed", predicted, truth=False),
        truth=write_panoptic_video(folder / "truth.json", truth),
        predicted=write_panoptic_video(folder / "predicted.json", predicted),
        step=write_step(folder / "panoptic_maps" / "val", truth).parent,
        step_predicted=write_step(folder / "guessed", predicted),
    )


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips of STREET as files."""
    folder = tmp_path_factory.mktemp("street")
    write_clips(folder, [StreetClip(seed, 8, (64, 96), 4.0) for seed in (5, 6)])
    return folder


def copied(path: Path, folder: Path, change) -> Path:
    """Write the JSON at `path` into `folder`, after `change` was made to its content."""
    content = json.loads(path.read_text())
    change(content)
    target = folder / path.name
    target.write_text(json.dumps(content))
    return target


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


def drop_frame(content) -> None:
    """Take out an annotation."""
    del content["annotations"][1]["annotations"][3]


def swap_frames(content) -> None:
    """Exchange two frames of a video."""
    images = content["videos"][1]["images"]
    images[2], images[3] = images[3], images[2]


def other_size(content) -> None:
    """State another size."""
    content["videos"][0]["images"][0]["width"] = 99


def strange_category(content) -> None:
    """Name a category that there is not."""
    content["annotations"][0]["annotations"][0]["segments_info"][0]["category_id"] = 77


def twice(content) -> None:
    """List a video twice."""
    content["videos"].append(content["videos"][0])


def no_frames(content) -> None:
    """Take out a video's frames."""
    content["videos"][2]["images"] = []
    content["annotations"][2]["annotations"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_frame, r"truth.json: frame 3 of video 'clip1' has no annotation; a clip needs one for each frame"),
        (
            swap_frames,
            "video 'clip1' has frame '0002.png' after '0003.png'; list each frame once, in the order of time",
        ),
        (other_size, "0000.png is 56 pixels wide and 40 high, but 99 wide and 40 high by .*; give files that belong"),
        (strange_category, "the category 77, which is not in its categories; add it or correct the segment"),
        (twice, "has video 'clip0' twice; each id must be unique"),
        (no_frames, "has no frames of video 'clip2'; give a file with at least a frame of each"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(made: SimpleNamespace, tmp_path: Path, change, message: str) -> None:
    path = copied(made.truth, tmp_path, change)
    with pytest.raises(SegrtError, match=message):
        evaluate_predictions(made.predicted, open_dataset(path, panoptic_dir=made.truth.with_suffix("")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_frame, "has no prediction for frame clip1/3 of .*; a clip needs every frame"),
        (strange_category, "the category 77, which is not in its categories"),
        (
            lambda content: content["annotations"][0].update(video_id="other"),
            "is of frame 'other/0', which .* lacks; its frames are 'clip0/0', 'clip0/1', …; predict its videos",
        ),
        (
            lambda content: content.update(annotations=content["annotations"][0]["annotations"]),
            r"is of single pictures, but .* of clips; write its annotations video by video, with ids that last",
        ),
    ],
)
def test_predictions_that_do_not_fit_are_refused(made: SimpleNamespace, tmp_path: Path, change, message: str) -> None:
    path = copied(made.predicted, tmp_path, change)
    with pytest.raises(SegrtError, match=message):
        evaluate_predictions(path, open_dataset(made.truth), predictions_dir=made.predicted.with_suffix(""))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: content["annotations"][0]["segmentations"].pop(),
            r"an object of video 1 has 7 masks, but the video has 8 frames; give one for each, null where",
        ),
        (
            lambda content: content["annotations"][0].update(category_id=77),
            "category 77, which is not in the categories",
        ),
        (
            lambda content: content["annotations"][0].update(video_id=9),
            "is of video 9, which .* lacks; its ids are 1, 2",
        ),
        (
            lambda content: squeeze(content["annotations"]),
            r"a mask of frame .* is \[5, 5\], but the image is \[64, 96\]",
        ),
    ],
)
def test_objects_that_do_not_fit_are_refused(street: Path, tmp_path: Path, change, message: str) -> None:
    path = copied(street / "objects.json", tmp_path, change)
    with pytest.raises(SegrtError, match=message):
        evaluate_predictions(path, open_dataset(street / "objects.json"))


def squeeze(annotations) -> None:
    """Give the first mask that there is another size."""
    next(mask for entry in annotations for mask in entry["segmentations"] if mask)["size"] = [5, 5]


def test_kitti_step_without_a_frame_or_with_an_unknown_class_is_refused(made: SimpleNamespace, tmp_path: Path) -> None:
    maps = tmp_path / "panoptic_maps"
    write_step(maps, [[frame.truth for frame in made_clips(crowd=False)[0]]])
    (maps / "0000" / "000004.png").unlink()
    with pytest.raises(SegrtError, match=r"0000 has no map between 000003 and 000005; a clip needs every frame"):
        open_dataset(maps)
    few = open_dataset(made.step, labels=LABELS[:2])
    with pytest.raises(
        SegrtError, match=r"holds class [23], which no label has; give the classes of the maps as --labels"
    ):
        [few.read_truth(sample) for sample in few.samples]
    with pytest.raises(SegrtError, match=r"0000/000004\.png does not exist"):
        evaluate_predictions(maps, open_dataset(made.step, labels=LABELS))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("street://?clips=0", "clips=0 must be 1 to 10000"),
        ("street://?clips=2&fps=fast", "fps=fast must be 0.1 to 240 frames a second"),
        ("street://?clips=2&speed=3", "'speed' is unknown; write street://.clips=4"),
        ("street://?clips=2&frames=x", "frames=x must be a whole number"),
    ],
)
def test_wrong_addresses_of_clips_are_refused(address: str, message: str) -> None:
    with pytest.raises(SegrtError, match=message):
        open_dataset(address)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--skip-bad"], "--skip-bad: .* is of clips, in which no frame can be left out"),
    ],
)
def test_options_of_pictures_are_refused(made: SimpleNamespace, tmp_path: Path, arguments, message: str) -> None:
    arguments = [str(tmp_path / "out") if word == "OUT" else word for word in arguments]
    given = ["--annotations", str(made.truth), "--predictions", str(made.predicted), *arguments]
    done = CliRunner().invoke(command, given)
    assert isinstance(done.exception, SegrtError)
    with pytest.raises(SegrtError, match=message):
        raise done.exception


def test_the_flat_layout_of_vpsnet_gives_the_figures_of_coco_panoptic_video(made: SimpleNamespace) -> None:
    expected = evaluate_predictions(made.predicted, open_dataset(made.truth))
    flat = open_dataset(made.flat)
    assert [(clip.name, clip.stop - clip.start) for clip in clips_of(flat)] == [(f"000{n}", 17) for n in (1, 2, 3)]
    found = evaluate_predictions(made.flat_predicted, flat)
    assert found.metrics == expected.metrics
    assert found.metrics["vpq"] is not None


@pytest.mark.parametrize(
    ("side", "change", "message"),
    [
        ("flat", lambda it: it["annotations"].pop(), "has no annotation; a clip needs one for each frame"),
        ("flat", lambda it: it["images"].pop(), "which is not in its images; add it there"),
        ("flat", lambda it: it["images"].append(it["images"][0]), "has no annotation|twice"),
        ("flat", lambda it: it["annotations"].append(it["annotations"][0]), "annotates frame '0001_.*' twice"),
        ("flat_predicted", lambda it: it["annotations"][3].update(image_id="0009_0001_x"), "is of frame '0009_0001_x'"),
    ],
)
def test_flat_layouts_that_do_not_fit_are_refused(
    made: SimpleNamespace, tmp_path: Path, side: str, change, message: str
) -> None:
    path = copied(getattr(made, side), tmp_path, change)
    pngs = "panoptic_video" if side == "flat" else "pan_pred"
    (tmp_path / pngs).symlink_to(getattr(made, side).parent / pngs)
    with pytest.raises(SegrtError, match=message):
        open_dataset(path) if side == "flat" else open_predictions(path, open_dataset(made.flat))


def test_panoptic_predictions_for_truth_of_objects_are_refused_in_a_line(made: SimpleNamespace, street: Path) -> None:
    objects = open_dataset(street / "objects.json")
    for path in (made.predicted, made.flat_predicted):
        with pytest.raises(SegrtError, match=r"is panoptic, but .* has objects alone; give its objects, each with"):
            open_predictions(path, objects)


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
