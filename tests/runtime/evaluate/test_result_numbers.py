"""Scores, ids and boxes of predictions that are no numbers: one line that names the result, exit code 2."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from segrt.runtime import cli
from segrt.runtime.evaluate import evaluate_predictions, open_dataset

OBJECT = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 25, "bbox": [0, 0, 5, 5]}
RESULT = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.9}
MASK = {"size": [10, 10], "counts": "0505"}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    images = [{"id": 1, "file_name": "a.jpg", "height": 10, "width": 10}]
    annotation = {**OBJECT, "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]]}
    content = {"images": images, "annotations": [annotation], "categories": [{"id": 1, "name": "x"}]}
    path.write_text(json.dumps(content))
    return path


def said(truth: Path, predictions: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that `segrt eval` prints; check the exit code."""
    path = truth.with_name("predictions.json")
    path.write_text(predictions if isinstance(predictions, str) else json.dumps(predictions))
    command = ["segrt", "eval", "--annotations", str(truth), "--predictions", str(path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as done:
            cli.main()
    lines = capsys.readouterr().err.strip().splitlines()
    assert done.value.code == 2
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": "0.9"}, "result 1 is no valid COCO JSON: Expected `float`, got `str` - at `$.score`"),
        ({"score": True}, "result 1 is no valid COCO JSON: Expected `float`, got `bool` - at `$.score`"),
        ({"score": [0.9]}, "result 1 is no valid COCO JSON: Expected `float`, got `array` - at `$.score`"),
        ({"score": None}, "result 1 has no score; give COCO instance results"),
        ({"bbox": None}, "result 1 has no bbox; give COCO instance results"),
        ({"bbox": [0, 0, "5", 5]}, "result 1 is no valid COCO JSON: Expected `float`, got `str` - at `$.bbox[2]`"),
        ({"category_id": "1"}, "result 1 is no valid COCO JSON: Expected `int`, got `str` - at `$.category_id`"),
        ({"category_id": 1.5}, "result 1 is no valid COCO JSON: Expected `int`, got `float` - at `$.category_id`"),
        ({"image_id": 1.5}, "result 1 is no valid COCO JSON: Expected `int | str`, got `float` - at `$.image_id`"),
        ({"image_id": "1"}, "result 1 is of image '1', which"),
    ],
)
def test_what_is_no_number_is_named(
    truth: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in said(truth, [RESULT, {**RESULT, **change}], capsys)
    assert said(truth, [{**RESULT, **change}], capsys).count("result 0") == 1


def test_an_image_id_of_another_type_shows_the_data_sets_own(truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "lacks; its ids are 1, …; give results of its images" in said(truth, [{**RESULT, "image_id": "1"}], capsys)


@pytest.mark.parametrize("segmentation", [None, "x", {"size": ["10", 10], "counts": "0505"}, {**MASK, "counts": 7}])
def test_a_mask_that_is_none_is_named(truth: Path, segmentation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": MASK}
    assert "result 1 " in said(truth, [good, {**good, "segmentation": segmentation}], capsys)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_numbers_for_is_named(truth: Path, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps([RESULT]).replace("0.9", number)
    assert "holds NaN or an infinity, which are no numbers in JSON; write finite ones" in said(truth, text, capsys)


def test_numbers_of_either_kind_are_taken(truth: Path) -> None:
    path = truth.with_name("predictions.json")
    path.write_text(json.dumps([{**RESULT, "score": 1}, {**RESULT, "score": 0.5}]))
    assert evaluate_predictions(path, open_dataset(truth)).metrics["ap"] == 1.0
