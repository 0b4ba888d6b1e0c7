"""`segrt run --prompt`: objects by box, by point and by a detector's results; everything else in one line."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from cli_calls import Segrt, fails

pytest.importorskip("onnx")

from segrt.runtime.cli.prompt_options import parse_prompt
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.prompts import Prompt
from segrt.runtime.results import rle


def extent(entry: dict) -> list[int]:
    """Return the extent of a mask in a coco.json, xyxy."""
    code = {"size": entry["segmentation"]["size"], "counts": entry["segmentation"]["counts"].encode()}
    return rle.measure([code])[1][0].tolist()


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("box:10,20,30.5,40", Prompt(box=(10, 20, 30.5, 40))),
        ("point:5,6", Prompt(points=((5, 6),), labels=(1,))),
        ("point:1e+1,.5+point:2.,3E0", Prompt(points=((10, 0.5), (2, 3)), labels=(1, 1))),
        ("point:5,6,object", Prompt(points=((5, 6),), labels=(1,))),
        ("point:5,6 + point:7,8,background", Prompt(points=((5, 6), (7, 8)), labels=(1, 0))),
        (
            "point:7,8,background+box:1,2,3,4+point:2,3",
            Prompt(box=(1, 2, 3, 4), points=((7, 8), (2, 3)), labels=(0, 1)),
        ),
    ],
)
def test_a_prompt_is_one_object(text: str, prompt: Prompt) -> None:
    assert parse_prompt(text) == prompt


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must be box:LEFT,TOP,RIGHT,BOTTOM or point:X,Y"),
        ("10,20,30,40", "but got '10,20,30,40'"),
        ("circle:1,2,3", "but got 'circle:1,2,3'"),
        ("box:1,2,3", "numbers in pixels, but got 'box:1,2,3'"),
        ("box:1,2,3,4,5", "numbers in pixels"),
        ("box:1,2,x,4", "numbers in pixels"),
        ("box:1,2,inf,4", "numbers in pixels"),
        ("box:1,2,1e999,4", "numbers in pixels"),
        ("point:1_0,2", "numbers in pixels"),
        ("point:\uff11,2", "numbers in pixels"),
        ("box:1,2,3,4+box:5,6,7,8", "has two boxes, but is one object; give a --prompt for each"),
        ("point:1", "numbers in pixels"),
        ("point:1,2,3", "may stand object or background, but got '3'"),
        ("point:1,2,backgroud", "may stand object or background"),
        ("point:1,2,background", "shows background alone, no object; join it"),
        ("point:1,2+", "but got ''"),
    ],
)
def test_what_is_no_prompt_is_named(text: str, part: str) -> None:
    with pytest.raises(SegrtError) as error:
        parse_prompt(text)
    assert part in str(error.value)
    assert str(error.value).startswith(f"--prompt {text}: ")


@pytest.mark.prints_table("run")
def test_run_saves_a_mask_for_each_prompt(segrt: Segrt, pointing: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prompts = ("box:9,12,60,48", "box:9,12,60,48+point:20,20,background", "point:70,30")
    given = [word for prompt in prompts for word in ("--prompt", prompt)]
    code, said, err = segrt("run", pointing, photo, *given, "--save", "overlay,coco,masks", "--out", out)
    assert (code, err) == (0, "")
    assert "3 object" in said
    entries = json.loads((out / "coco.json").read_text())
    assert [entry["category_id"] for entry in entries] == [1, 1, 1]
    assert np.abs(np.array(extent(entries[0])) - [9, 12, 60, 48]).max() <= 1
    assert extent(entries[2])[0] > 55  # near the point alone
    painted = cv2.imread(str(out / "overlay" / f"{photo.stem}.png")).astype(int)
    changed = np.abs(painted - cv2.imread(str(photo)).astype(int)).sum(2) > 30
    assert changed[30:46, 25:55].mean() > 0.9
    masks = [cv2.imread(str(path), 0) > 0 for path in sorted((out / "masks" / photo.stem).iterdir())]
    assert [bool(mask[20, 20]) for mask in masks] == [True, False, False]
    assert [bool(mask[30, 70]) for mask in masks] == [False, False, True]


@pytest.mark.prints_table("run")
def test_a_detectors_results_are_prompts(
    segrt: Segrt, tiny: SimpleNamespace, pointing: Path, photos: Path, tmp_path: Path
) -> None:
    detected, out = tmp_path / "detected", tmp_path / "out"
    assert segrt("run", tiny.bundle("paste_masks"), photos, "--save", "coco", "--out", detected)[0] == 0
    before = json.loads((detected / "coco.json").read_text())
    assert before
    given = ("--prompt", detected / "coco.json", "--save", "coco", "--out", out)
    code, said, err = segrt("run", pointing, photos, *given)
    assert (code, err) == (0, "")
    after = json.loads((out / "coco.json").read_text())
    assert [(entry["image_id"], entry["category_id"]) for entry in after] == [
        (entry["image_id"], entry["category_id"]) for entry in before
    ]
    assert f"category {before[0]['category_id']}" in said
    assert all(np.abs(np.array(extent(new)) - extent(old)).max() <= 2 for new, old in zip(after, before, strict=True))
    boxes = [{"image_id": 7, "category_id": 3, "score": 1, "bbox": [9, 12, 51, 99]}]  # reaches out of the picture
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    given = ("--prompt", tmp_path / "boxes.json", "--prompt", "point:45,20", "--save", "coco", "--out", out)
    assert segrt("run", pointing, photos, *given)[0] == 0
    found = json.loads((out / "coco.json").read_text())
    assert [(entry["image_id"], entry["category_id"]) for entry in found] == [(7, 1), (7, 3), (11, 1)]


def test_prompts_are_for_bundles_that_take_them_and_these_need_some(
    segrt: Segrt, tiny: SimpleNamespace, pointing: Path, photo: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "out")
    prompt = ("--prompt", "point:9,9")
    detector = tiny.bundle("paste_masks")
    fails(segrt("run", detector, photo, *prompt, *out), 2, "takes no prompts; leave it out, or use")
    fails(segrt("run", pointing, photo, *out), 2, "but got none; give --prompt box:LEFT,TOP,RIGHT,BOTTOM or point:X,Y")
    outside = segrt("run", pointing, photo, "--prompt", "point:9,61", *out)
    fails(outside, 2, f"--prompt point:9,61 for {photo}: the point 9,61 lies outside the picture, which is 90 wide")
    fails(segrt("run", pointing, photo, *prompt, "--tile", "32x32", *out), 2, "--tile")
    fails(segrt("run", pointing, photo, *prompt, "--score-threshold", "0.5", *out), 2, "has no score_threshold")
    fails(segrt("run", pointing, photo, *prompt, "--save", "queries", *out), 2, "queries needs a bundle of a network")
    for command in (
        ("stream", pointing, photo, "--sink", "null:"),
        ("service", pointing, "v4l2:///dev/video0"),
        ("eval", pointing, "--annotations", tmp_path / "no.json"),
        ("eval", detector, pointing, "--annotations", tmp_path / "no.json"),
        ("compare", photo, pointing, "--out", tmp_path / "c.png"),
        ("archive", pointing, photo, "--out", tmp_path / "archive"),
        ("export-triton", pointing, "--out", tmp_path / "models"),
        ("pair", tiny.bundle("argmax"), pointing, "--out", tmp_path / "pair"),
    ):
        fails(segrt(*command), 2, f"`segrt {command[0]}` has none to give; use `segrt run", "--prompt box:LEFT")
    deployed = segrt("deploy", pointing, "nobody@127.0.0.1", "--stream", "0 --sink null:", "--dry-run")
    fails(deployed, 2, "`segrt deploy --stream` has none to give; use `segrt run")
    assert not (tmp_path / "out").exists()
