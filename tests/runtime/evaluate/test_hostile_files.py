"""COCO files, predictions and lists of classes that no tool would write: each is refused in one line."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate_predictions, open_dataset
from segrt.runtime.evaluate.datasets.coco_masks import CocoRle, mask_problem
from segrt.runtime.files.images import MOST_PIXELS, write_image
from segrt.runtime.outputs import coco_results
from segrt.runtime.profiling.records import read_profile
from segrt.runtime.results import rle
from segrt.runtime.results.labels.class_lists import read_labels

SIZE = (24, 48)
BOX = [4, 2, 16, 10]
HOSTILE: tuple[Any, ...] = (
    None, [], {}, "x", -1, 1e300, [[1]], {"a": 1}, "n" * 300, "\ud800", "a\0b", 10**30, True, [1, 2, 3, 4, 5], 1 << 40,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture with one thing, as a panoptic and an instances data set, and predictions of both forms."""
    ids = np.zeros(SIZE, np.int32)
    ids[2:12, 4:20] = 1
    for name in ("images", "truth"):
        (tmp_path / name).mkdir()
    write_image(tmp_path / "images" / "1.png", np.zeros((*SIZE, 3), np.uint8))
    coco_results.write_panoptic_png(tmp_path / "truth" / "1.png", ids)
    image = {"id": 1, "file_name": "1.png", "height": SIZE[0], "width": SIZE[1]}
    category = {"id": 7, "name": "car", "isthing": 1, "color": [1, 2, 3]}
    segment = {"id": 1, "category_id": 7, "iscrowd": 0, "area": 160, "bbox": BOX}
    mask = rle.text(rle.encode(ids == 1))
    thing = {"id": 1, "image_id": 1, "category_id": 7, "bbox": BOX, "area": 160, "iscrowd": 0, "segmentation": mask}
    panoptic = {"image_id": 1, "file_name": "1.png", "segments_info": [segment]}
    result = {"image_id": 1, "category_id": 7, "score": 0.5, "bbox": BOX, "segmentation": mask}
    for name, content in (
        ("truth", {"images": [image], "categories": [category], "annotations": [panoptic]}),
        ("things", {"images": [image], "categories": [category], "annotations": [thing]}),
        ("results", [result]),
        ("stuff", [{key: value for key, value in result.items() if key not in ("score", "bbox")}]),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def places(tree: Any) -> Any:
    """Yield the path of every value."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (key,)
        for path in places(value):
            yield (key, *path)


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("truth", ("--annotations", "truth.json", "--predictions", "results.json")),
        ("things", ("--annotations", "things.json", "--predictions", "results.json")),
        ("results", ("--annotations", "truth.json", "--predictions", "results.json")),
        ("results", ("--annotations", "things.json", "--predictions", "results.json")),
        ("truth", ("--annotations", "things.json", "--predictions", "truth.json", "--predictions-dir", "truth")),
    ],
)
def test_every_value_of_a_coco_file_may_be_anything(
    file: str, arguments: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value in turn becomes what it never is: the command measures, or refuses in one line."""
    monkeypatch.chdir(folder)
    whole = json.loads((folder / f"{file}.json").read_text())
    count = 0
    for number, path in enumerate(places(whole)):
        tree = copy.deepcopy(whole)
        holder = tree
        for key in path[:-1]:
            holder = holder[key]
        for turn in range(3):
            holder[path[-1]] = HOSTILE[(3 * number + turn) % len(HOSTILE)]
            (folder / f"{file}.json").write_text(json.dumps(tree))
            outcome = CliRunner().invoke(command, [*arguments])
            if outcome.exception is not None:
                assert isinstance(outcome.exception, SegrtError), (path, holder[path[-1]], outcome.exc_info)
                assert "\n" not in str(outcome.exception)
                count += 1
    assert count > 10


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[" * 100_000, "is no valid JSON"),
        (b'{"annotations": ' + b"1" * 5000 + b"}", "has no list of annotations|is no valid JSON"),
        (b'{"annotations": ["\xff"]}', "is no valid JSON"),
        (b'{"annotations": [5], "categories": [{"id": 1, "name": "a"}]}', "annotation 0 has no image_id"),
    ],
)
def test_json_that_exhausts_a_parser_is_refused(text: bytes, why: str, folder: Path) -> None:
    (folder / "truth.json").write_bytes(text)
    with pytest.raises(SegrtError, match=why):
        open_dataset(folder / "truth.json")


def test_an_image_of_more_pixels_than_are_read_is_refused_by_the_json(folder: Path) -> None:
    content = json.loads((folder / "things.json").read_text())
    content["images"][0] |= {"height": 100_000, "width": 100_000}
    (folder / "things.json").write_text(json.dumps(content))
    with pytest.raises(
        SegrtError, match=rf"image 1 100000 pixels wide and 100000 high, at most {MOST_PIXELS:,} are read"
    ):
        open_dataset(folder / "things.json")


def test_ids_that_cannot_be_keys_are_refused(folder: Path) -> None:
    dataset = open_dataset(folder / "truth.json")
    content = json.loads((folder / "results.json").read_text())
    for key in ("image_id", "category_id"):
        (folder / "results.json").write_text(json.dumps([{**content[0], key: [1]}]))
        with pytest.raises(SegrtError, match=rf"is no valid COCO JSON: Expected .*{key}"):
            evaluate_predictions(folder / "results.json", dataset)


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (CocoRle((24, 47), "0"), r"is \[24, 47\], but the image is \[24, 48\]"),
        (CocoRle(SIZE, "é"), "is damaged"),
        (CocoRle(SIZE, "0"), "is damaged"),
        (CocoRle(SIZE, [24 * 48, 1]), "has runs that do not fill the image"),
        (CocoRle(SIZE, [24 * 48 + 1, -1]), "has runs that do not fill the image"),
        ([[1.0, 2.0, 3.0]], "has a polygon of 3 numbers"),
        ([[0.0, 0.0, 9.0, 0.0, 9.0, 9.0], [1.0, 1.0, 2.0, 2.0]], "has a polygon of"),
        ([[0.0, 0.0, 1e300, 0.0, 9.0, 9.0]], "has a polygon far outside the image"),
        ([[0.0, 0.0, 48.0, 0.0, 0.0, 0.0] * 400_000], "has polygons .* pixels long"),
    ],
)
def test_masks_that_a_drawing_library_would_stumble_over_are_named(mask: Any, why: str) -> None:
    import re

    assert re.search(why, mask_problem(mask, SIZE) or "")


def test_masks_of_each_form_are_accepted() -> None:
    code = rle.text(rle.encode(np.eye(24, 48, dtype=np.uint8)))
    for mask in (CocoRle(SIZE, code["counts"]), CocoRle(SIZE, [24 * 48]), [[0.0, 0.0, 9.0, 0.0, 9.0, 9.0]], None):
        assert mask_problem(mask, SIZE) is None


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'[{"name": "a", "id": ' + b"1" * 5000 + b"}]",
        b'[{"name": "\xff"}]',
        b'[{"name": ["a"]}]',
        b'[{"name": "a", "color": [1, 2, 999]}]',
        b"name,r,g,b\na,1,2," + b"3" * 5000,
        "name,r,g,b\na,1,2,²".encode() + b"\nb,1,2,3",
        b"a,1,2\nb,1,2,3",
        b'"' + b"x" * 200_000,
        b"\xff\xfe",
        b'[{"name": "a", "id": 1}, {"name": "b", "id": 1}]',
        b"a\n" * 70_000,
    ],
)
def test_lists_of_classes_that_are_none_are_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(text)
    with pytest.raises(SegrtError, match=f"--labels {path}: ") as raised:
        read_labels(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"\xff", b'{"runs": 5}', b"1" * 5000, b'{"runs": [], "date": "\xff"}']
)
def test_profiles_that_are_none_are_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(text)
    with pytest.raises(SegrtError, match=r"profile\.json: is no profile \("):
        read_profile(path)
