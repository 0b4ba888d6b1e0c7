"""`segrt run` and `segrt compare`: results where they were asked for, and pictures that are never replaced."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from cli_calls import Segrt, fails

from segrt.runtime.files.images import read_image


@pytest.mark.prints_table("run")
def test_run_saves_every_kind_of_a_panoptic_bundle(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new/out"
    code, text, err = segrt(
        "run", tiny.bundle("merge_queries"), photos, "--out", out, "--save", "overlay,panoptic,coco,labels,queries"
    )
    assert (code, err) == (0, "")
    assert "2 pictures saved" in text
    for kind in ("overlay", "panoptic", "labels", "queries"):
        assert sorted(path.name for path in (out / kind).iterdir()) == ["000000000007.png", "000000000011.png"]
    assert read_image(out / "overlay/000000000007.png").shape == (60, 90, 3)
    labels = cv2.imread(str(out / "labels/000000000011.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (40, 120)
    assert [labels[20, column] for column in (10, 60, 110)] == [0, 1, 2]
    panoptic = json.loads((out / "panoptic.json").read_text())
    assert [image["id"] for image in panoptic["images"]] == [7, 11]
    assert [segment["category_id"] for segment in panoptic["annotations"][0]["segments_info"]] == [10, 20, 30]
    ids = cv2.imread(str(out / "panoptic/000000000007.png"))[..., ::-1].astype(int) @ [1, 256, 65536]
    for segment in panoptic["annotations"][0]["segments_info"]:
        assert (ids == segment["id"]).sum() == segment["area"]
    objects = json.loads((out / "coco.json").read_text())
    assert sorted((entry["image_id"], entry["category_id"]) for entry in objects) == [
        (7, 20), (7, 30), (11, 20), (11, 30),
    ]  # fmt: skip


def test_run_says_what_it_found_and_where_it_lies(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text, err = segrt("run", tiny.bundle("merge_queries"), photos)
    assert (code, err) == (0, "")
    lines = text.splitlines()
    assert lines[0] == f"{photos}/000000000007.png: 1 green, 1 blue, red → results/overlay/000000000007.png"
    assert lines[1] == f"{photos}/000000000011.jpg: 1 green, 1 blue, red → results/overlay/000000000011.png"
    assert (tmp_path / "results/overlay/000000000007.png").is_file()
    text = segrt("run", tiny.bundle("paste_masks"), photos, "--save", "coco", "--out", "x")[1]
    assert "000000000007.png: 1 blue → x\n" in text
    text = segrt("run", tiny.bundle("argmax"), photos / "000000000007.png", "--save", "labels")[1]
    assert text.startswith(f"{photos}/000000000007.png: red, green, blue → results/labels/000000000007.png\n")


def test_classes_that_are_not_wanted_count_as_not_found(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    picture, out = photos / "000000000007.png", tmp_path / "o"
    for kind, found in (("merge_queries", "1 blue, red"), ("paste_masks", "1 blue"), ("argmax", "red, blue")):
        save = "coco" if kind == "paste_masks" else "labels"
        done = segrt("run", tiny.bundle(kind), picture, "--out", out, "--save", save, "--classes", "red, BLUE")
        assert (done[0], done[2]) == (0, "")
        assert f"000000000007.png: {found} → " in done[1]
        if save == "labels":
            labels = cv2.imread(str(out / "labels/000000000007.png"), cv2.IMREAD_UNCHANGED)
            assert [labels[30, column] for column in (10, 45, 80)] == [0, 255, 2]
    text = segrt("run", tiny.bundle("paste_masks", out="b2"), picture, "--out", out, "--classes", "red")[1]
    assert "000000000007.png: nothing → " in text
    bundle = tiny.bundle("argmax", out="b3")
    for name, message in (
        ("grean", "--classes grean: .* has no such class; did you mean 'green'"),
        ("1", "--classes 1: .*; classes are named: the one at position 1 is 'green'"),
        ("sky", "--classes sky: .*; it has red, green, blue"),
        (",", "--classes: is empty; name classes of"),
    ):
        code, _, err = segrt("run", bundle, picture, "--out", tmp_path / "none", "--classes", name)
        assert code == 2
        assert re.match(f"segrt: error: {message}", err), err
    assert not (tmp_path / "none").exists()


def test_compare_takes_classes_and_thresholds_of_those_that_have_them(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    picture, out = photos / "000000000007.png", tmp_path / "o.png"
    both = (tiny.bundle("argmax"), tiny.bundle("paste_masks"))
    command = ("compare", picture, *both, "--out", out, "--repeat", 1)
    code, text, err = segrt(*command, "--score-threshold", 0.05, "--classes", "blue,red")
    assert (code, err) == (0, "")
    assert "2 classes" in text
    assert "1 object" in text
    assert "2 objects" not in text, "the second one is green"
    assert "2 objects" in segrt(*command, "--score-threshold", 0.05)[1]
    fails(segrt(*command, "--overlap-threshold", 0.5), 2, "--overlap-threshold 0.5: no rule of")
    fails(segrt(*command, "--classes", "sky"), 2, "--classes sky: ")


def test_a_bad_picture_ends_the_run_after_saving_what_was_done(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    (photos / "000000000009.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    command = ("run", tiny.bundle("merge_queries"), photos, "--out", out, "--save", "panoptic,coco")
    fails(segrt(*command), 2, "000000000009.png: is no picture")
    assert [image["id"] for image in json.loads((out / "panoptic.json").read_text())["images"]] == [7]
    assert {entry["image_id"] for entry in json.loads((out / "coco.json").read_text())} == {7}
    code, text, err = segrt(*command, "--skip-bad")
    assert code == 0
    assert "1 skipped" in text
    assert err.startswith("segrt: skipped: ")
    assert err.count("\n") == 1
    assert [image["id"] for image in json.loads((out / "panoptic.json").read_text())["images"]] == [7, 11]


def test_only_bad_pictures_are_an_error_even_when_skipped(tiny: SimpleNamespace, segrt: Segrt, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    code, _, err = segrt("run", tiny.bundle("argmax"), tmp_path / "x.png", "--out", tmp_path / "o", "--skip-bad")
    assert code == 2
    assert "nothing was saved" in err


def test_a_run_that_saves_nothing_leaves_what_was_there_and_makes_nothing(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    bundle, text = tiny.bundle("merge_queries"), tmp_path / "text.txt"
    text.write_text("no picture")
    kinds = ("--save", "overlay,panoptic,coco,labels")
    assert segrt("run", bundle, photos, "--out", tmp_path / "o", *kinds)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "o").rglob("*") if path.is_file()}
    fails(segrt("run", bundle, text, "--out", tmp_path / "o", *kinds), 2, "text.txt")
    assert {path: path.read_bytes() for path in (tmp_path / "o").rglob("*") if path.is_file()} == before
    fails(segrt("run", bundle, text, "--out", tmp_path / "new/o", *kinds), 2, "text.txt")
    assert segrt("run", bundle, text, "--out", tmp_path / "new/o", "--skip-bad", *kinds)[0] == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("kind", "save", "message"),
    [
        ("argmax", "panoptic", "panoptic needs a panoptic bundle, but 'tiny-argmax' is semantic"),
        ("argmax", "coco", "coco needs an instance or panoptic bundle"),
        ("query_instances", "labels", "labels needs a semantic or panoptic bundle"),
        ("paste_masks", "queries", "queries needs a bundle of a network with softmax queries"),
        ("argmax", " ,", "--save must be of overlay, panoptic, coco, labels, queries, cutouts, masks, but is"),
        ("argmax", "overlay,everything", "--save must be of overlay, panoptic, coco, labels, queries"),
    ],
)
def test_what_cannot_be_saved_is_said_before_anything_runs(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path, kind: str, save: str, message: str
) -> None:
    fails(segrt("run", tiny.bundle(kind), photos, "--out", tmp_path / "o", "--save", save), 2, message)
    assert not (tmp_path / "o").exists()


def test_an_output_folder_that_cannot_be_written_is_named(tiny: SimpleNamespace, segrt: Segrt, photos: Path) -> None:
    bundle = tiny.bundle("argmax")
    fails(segrt("run", bundle, photos, "--out", "/proc/out"), 2, "/proc/out: cannot be made a folder")
    file = photos / "000000000007.png"
    fails(segrt("run", bundle, photos, "--out", file), 2, "000000000007.png", "choose another output folder")
    fails(segrt("compare", file, bundle, "--out", "/proc/x.png", "--repeat", 1), 2, "/proc/x.png: cannot be written")


def test_no_output_replaces_a_picture(tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path) -> None:
    bundle, photo = tiny.bundle("argmax"), photos / "000000000007.png"
    before = photo.read_bytes()
    fails(segrt("run", bundle, photos, "--out", photos), 2, "000000000007.png lies there, a source")
    overlays = tmp_path / "overlay"
    photos.rename(overlays)
    fails(segrt("run", bundle, overlays, "--out", tmp_path), 2, "000000000007.png lies there, a source")
    overlays.rename(photos)
    (tmp_path / "link.png").symlink_to(photo)
    fails(segrt("compare", photo, bundle, "--out", tmp_path / "link.png"), 2, "is the picture itself")
    assert photo.read_bytes() == before
    assert len(list(photos.iterdir())) == 2


@pytest.mark.prints_table("compare")
def test_compare_writes_one_picture_with_a_panel_per_bundle(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    bundles = [tiny.bundle(kind) for kind in ("argmax", "query_instances", "merge_queries")]
    out = tmp_path / "side/by/side.png"
    code, text, err = segrt("compare", photos / "000000000007.png", *bundles, "--out", out, "--repeat", 2)
    assert (code, err) == (0, "")
    for word in ("tiny-argmax", "3 classes", "3 objects", "3 segments"):
        assert word in text
    page = read_image(out)
    assert page.shape[1] > page.shape[0]
    alone = tmp_path / "alone.png"
    segrt("compare", photos / "000000000007.png", bundles[0], "--out", alone, "--repeat", 1)
    assert np.prod(read_image(alone).shape) < np.prod(page.shape)


def test_thresholds_of_the_command_line_are_used(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    bundle, out = tiny.bundle("paste_masks"), tmp_path / "out"
    assert segrt("run", bundle, photos, "--out", out, "--save", "coco", "--score-threshold", "0.05")[0] == 0
    assert len(json.loads((out / "coco.json").read_text())) == 4
    fails(segrt("run", bundle, photos, "--out", out, "--overlap-threshold", "0.5"), 2, "has no overlap_threshold")
