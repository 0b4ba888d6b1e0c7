"""The commands as a user meets them: results where they were asked for, one line and exit code 2 for what is wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import cv2
import numpy as np
import pytest

from segrt.runtime import cli
from segrt.runtime.files.images import read_image, write_image

Segrt = Callable[..., tuple[int, str, str]]


@pytest.fixture
def segrt(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Segrt:
    """Call the command line in this process: arguments → (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["segrt", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def photos(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "000000000007.png", tiny.thirds(60, 90))
    write_image(folder / "000000000011.jpg", tiny.thirds(40, 120))
    return folder


def fails(result: tuple[int, str, str], code: int, *parts: str) -> None:
    assert result[0] == code
    assert result[2].count("\n") == 1, result[2]
    assert result[2].startswith("segrt: error: ")
    for part in parts:
        assert part in result[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "b", "p.png", "--out", "o", "--score-threshold", "nan"), "'--score-threshold': must be a finite"),
        (("pair", "a", "b", "--out", "o", "--overlap-threshold", "NaN"), "'--overlap-threshold': must be a finite"),
        (("pair", "a", "b", "--out", "o", "--stuff-area-limit", 10**20), "'--stuff-area-limit': 1"),
        (("quantize", "b", "--precision", "fp16", "--out", "o", "--agreement", "nan"), "'--agreement': must be a fin"),
        (("export", "m", "--out", "o", "--seed", 10**21), "'--seed': 1"),
        (("stream", "b", "x.mp4", "--target-fps", "inf"), "'--target-fps': must be a finite number, but got 'inf'"),
    ],
)
def test_numbers_that_no_range_holds_are_refused(segrt: Segrt, arguments: tuple[object, ...], message: str) -> None:
    code, _, err = segrt(*arguments)
    assert code == 2
    assert message in err.splitlines()[-1]


def test_durations_without_a_unit_are_said_back_and_those_with_one_are_not(segrt: Segrt, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    options = ("--max-age", "0.5", "--read-timeout", 2, "--segment", "600", "--stall-timeout", "9s")
    code, _, err = segrt("stream", gone, "x.mp4", *options)
    assert code == 2
    assert err.splitlines()[:-1] == [
        "segrt: --max-age 0.5: without a unit, that is 500 ms",
        "segrt: --read-timeout 2: without a unit, that is 2 s",
        "segrt: --segment 600: without a unit, that is 10 min",
    ]
    assert segrt("deploy", "x", "cam1", "--grace", "90", "--root", "?")[2].startswith(
        "segrt: --grace 90: without a unit"
    )
    unit = segrt("service", "--watchdog", "90", "street-panoptic", "x.mp4", "--max-age", 5)
    assert unit[2] == "segrt: --watchdog 90: without a unit, that is 90 s\n", "what a unit runs says it when it runs"


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
        ("argmax", " ,", "--save must be of overlay, panoptic, coco, labels, queries, but is empty"),
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


def test_sources_and_bundles_that_are_missing_are_named(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    fails(segrt("run", tmp_path / "gone", photos, "--out", tmp_path / "o"), 2, "gone: there is no such bundle")
    fails(segrt("run", tiny.bundle("argmax"), "gone.jpg", "--out", tmp_path / "o"), 2, "gone.jpg: there is no such")
    fails(segrt("compare", "gone.jpg", "x", "--out", tmp_path / "o.png"), 2, "gone.jpg: cannot be read")
    fails(segrt("inspect", tmp_path), 2, "is no bundle")
    fails(segrt("verify", tmp_path / "gone"), 2, "there is no such bundle")


@pytest.mark.parametrize(
    "arguments", [("run",), ("run", "b"), ("verify",), ("compare", "p", "b"), ("inspect", "--no-such")]
)
def test_wrong_use_exits_with_2_and_no_traceback(segrt: Segrt, arguments: tuple[str, ...]) -> None:
    code, _, err = segrt(*arguments)
    assert code == 2
    assert "Error: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu",), "Error: There is no command 'rnu'; did you mean 'run'?"),
        (("predict", "x"), "Error: There is no command 'predict'; did you mean 'run'?"),
        (("val",), "Error: There is no command 'val'; did you mean 'eval'?"),
        (("zzz",), "Error: There is no command 'zzz'; `segrt --help` lists them."),
        (("run", "--scor", "1", "b", "p"), "--score-threshold"),
        (("stream", "--max-frame=3", "b", "p"), "--max-frames"),
        (("run", "street-panoptik", "p"), "did you mean 'street-panoptic'? Else give a bundle's folder or one of"),
        (("export", "deeplabv3_resnet5", "--out", "o"), "did you mean"),
    ],
)
def test_a_name_that_is_nearly_right_brings_the_right_one(
    segrt: Segrt, arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = segrt(*arguments)
    assert code == 2
    assert message in err.splitlines()[-1]


def test_a_bundle_nearby_is_suggested(tiny: SimpleNamespace, segrt: Segrt) -> None:
    bundle = tiny.bundle("argmax")
    wrong = bundle.with_name("bundle-armgax")
    fails(segrt("inspect", wrong), 2, f"bundle-armgax: there is no such bundle; did you mean '{bundle}'?")


def test_json_goes_to_a_file_or_instead_of_tables_to_standard_output(
    tiny: SimpleNamespace, segrt: Segrt, tmp_path: Path
) -> None:
    bundle, file = tiny.bundle("argmax"), tmp_path / "new" / "it.json"
    evaluated = ("eval", "street-semantic", "--annotations", "street://?seed=1&frames=1&width=96&height=64")
    for command in (("inspect", bundle), ("models",), evaluated):
        _, printed, err = segrt(*command, "--json", "-")
        json.loads(printed)
        assert ("semantic on street" in err) == (command is evaluated)
        code, shown, _ = segrt(*command, "--json", file)
        assert (code, json.loads(file.read_text())) == (0, json.loads(printed))
        assert shown == segrt(*command)[1] != ""
    assert segrt("inspect", "--json", bundle)[1] == segrt("inspect", bundle, "--json")[1]
    assert json.loads(segrt("models", "--json", "--technique", "instance")[1])
    fails(segrt("models", "--json", "/proc/x.json"), 2, "/proc/x.json: cannot be written")


def test_every_command_takes_as_many_threads_as_the_core(segrt: Segrt) -> None:
    from segrt.runtime.cli import COMMANDS, LazyGroup
    from segrt.runtime.console.quantities import THREADS
    from segrt.runtime.postproc import arguments

    assert THREADS.max == arguments.MOST_THREADS == 256
    group = LazyGroup()
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        for option in command.params:
            if option.name == "threads" and name != "profile":
                assert option.type is THREADS, name
    code, _, err = segrt("profile", "street-semantic", "--threads", "1,257")
    assert code == 2
    assert "must be numbers from 0 (the default) to 256, 1,2 for instance, but got '1,257'" in err


@pytest.mark.prints_table("verify")
def test_verify_prints_a_table_and_exits_with_1_when_golden_frames_differ(tiny: SimpleNamespace, segrt: Segrt) -> None:
    folder = tiny.bundle("merge_queries")
    code, text, err = segrt("verify", folder)
    assert (code, err) == (0, "")
    assert "masks (3 live queries)" in text
    assert "100.0000% agree" in text
    assert "DIFFERS" not in text
    content = json.loads((folder / "manifest.json").read_text())
    content["decode"]["overlap_threshold"] = 1.0
    (folder / "manifest.json").write_text(json.dumps(content))
    result = segrt("verify", folder)
    assert "DIFFERS" in result[1]
    fails(result, 1, "checks differ on this device")


def test_verify_checks_every_hash_even_when_the_cache_knows_the_file(tiny: SimpleNamespace, segrt: Segrt) -> None:
    import os

    folder = tiny.bundle("argmax")
    assert segrt("verify", folder)[0] == 0
    path = folder / "model.fp32.onnx"
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    fails(segrt("verify", folder), 2, "model.fp32.onnx: has SHA-256")


@pytest.mark.prints_table("inspect")
def test_inspect_shows_and_gives_json(tiny: SimpleNamespace, segrt: Segrt) -> None:
    folder = tiny.bundle("merge_queries")
    code, text, _ = segrt("inspect", folder)
    assert code == 0
    for word in ("tiny-merge_queries", "panoptic", "merge_queries", "red, green, blue", "uint8 1×32×48×3", "fp32"):
        assert word in text
    content = json.loads(segrt("inspect", folder, "--json")[1])
    assert content["manifest"]["decode"]["rule"] == "merge_queries"
    assert set(content["files"].values()) == {"ok"}
    (folder / "golden/thirds.npz").unlink()
    fails(segrt("inspect", folder), 2, "thirds.npz: is missing")


def test_inspect_counts_one_image() -> None:
    from segrt.runtime.bundle.manifest import Parity
    from segrt.runtime.cli.inspect import _agreement

    parity = Parity(images=1, heads={}, agreement=0.5)
    assert _agreement(parity) == "50.0000% over 1 image"


def test_inspect_speaks_no_python(tiny: SimpleNamespace, segrt: Segrt) -> None:
    folder = tiny.bundle("class_map")
    content = json.loads((folder / "manifest.json").read_text())
    content["decode"].pop("void_value", None)
    (folder / "manifest.json").write_text(json.dumps(content))
    text = segrt("inspect", folder)[1]
    assert "class_map (void_value none)" in text
    assert "None" not in text
    assert "align_corners no" in segrt("inspect", tiny.bundle("argmax"))[1]


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
