"""Side files of published weights that are not what they should be are one line each, never a traceback."""

import json
import os
from pathlib import Path

import pytest

from segrt.export.models.catalogue import find_model
from segrt.export.weights.config_file import class_names, read_config
from segrt.runtime.errors import SegrtError

SEGFORMER = {"model_type": "segformer", "architectures": ["SegformerForSemanticSegmentation"]}
BEIT = {"model_type": "beit", "architectures": ["BeitForSemanticSegmentation"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON (it is nested too deeply)"),
        (b"[1]", "must be a JSON object"),
        (b'{"model_type": 5}', "is not what transformers writes"),
        (b'{"architectures": "Segformer"}', "is not what transformers writes"),
        (b'{"id2label": {"person": "0"}}', "is not what transformers writes"),
        (b'{"id2label": ["road"]}', "is not what transformers writes"),
        (b'{"id2label": {"-1": "road"}}', "numbers classes from 0"),
        (b'{"id2label": {"999999999": "road"}}', "numbers classes from 0"),
    ],
)
def test_a_config_that_is_none_says_why(text: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(SegrtError) as refused:
        read_config(path, "save it again")
    line = str(refused.value)
    assert line.startswith(f"{path}: ")
    assert says in line
    assert line.endswith("; save it again")
    assert "\n" not in line


def test_a_pipe_is_no_config(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(SegrtError, match="is a pipe, not a file"):
        read_config(tmp_path / "config.json", "save it again")


def test_classes_come_by_number(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"id2label": {"1": "car", "0": "road"}, "depth": 4}))
    content = read_config(path, "save it again")
    assert content["depth"] == 4
    assert class_names(content) == {0: "road", 1: "car"}
    assert class_names({}) == {}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({**BEIT, "patch_size": "16"}, "has the patch size '16'"),
        ({**BEIT, "patch_size": 0}, "has the patch size 0"),
        ({**BEIT, "image_size": "640"}, "has the image size '640'"),
        ({**BEIT, "image_size": [640]}, r"has the image size \[640\]"),
        ({**SEGFORMER, "architectures": None}, "is segformer"),
    ],
)
def test_sizes_that_are_no_numbers_are_refused(config: dict[str, object], says: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 512}))
    with pytest.raises(SegrtError, match=says):
        find_model(f"hf:{tmp_path}")
