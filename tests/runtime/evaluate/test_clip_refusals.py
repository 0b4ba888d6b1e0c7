"""Clips, truth and predictions that do not fit, and options that clips cannot have, are refused in a line."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from made_clips import LABELS, made_clips, write_step

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate_predictions, open_dataset
from segrt.runtime.evaluate.predictions import open_predictions


def copied(path: Path, folder: Path, change) -> Path:
    """Write the JSON at `path` into `folder`, after `change` was made to its content."""
    content = json.loads(path.read_text())
    change(content)
    target = folder / path.name
    target.write_text(json.dumps(content))
    return target


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
