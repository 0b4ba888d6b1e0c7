"""Rule `binary`: one score for each cell, cut at a threshold after it was enlarged."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.binary import Binary, binary
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import with_background

OBJECT = Label("object", 1, False, (255, 0, 0))
TWO = with_background(OBJECT)
WHOLE = Geometry((90, 120), (32, 48), (0, 0, 32, 48))


def decoded(head: Any, labels: tuple[Label, ...] = TWO, geometry: Geometry = WHOLE, **options: Any) -> Any:
    return binary({"object_scores": head}, geometry, Context(Binary(**options), labels)).class_map


def enlarged(grid: Any, size: tuple[int, int], *, aligned: bool = False) -> Any:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(np.asarray(grid, np.float32))[None, None]
    return torch.nn.functional.interpolate(tensor, size=size, mode="bilinear", align_corners=aligned)[0, 0].numpy()


@pytest.fixture
def logits() -> Any:
    return np.random.default_rng(3).normal(size=(1, 8, 12)).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.5, 0.2, 0.75])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_logits_are_enlarged_then_cut(logits: Any, threshold: float, dtype: Any) -> None:
    head = logits.astype(dtype)
    wanted = 1 / (1 + np.exp(-enlarged(head[0], (90, 120)))) > threshold
    same = decoded(head, score_threshold=threshold) == wanted
    assert same.mean() > 0.9999
    assert 0.02 < wanted.mean() < 0.98


def test_probabilities_are_enlarged_as_they_are(logits: Any) -> None:
    probabilities = 1 / (1 + np.exp(-logits))
    wanted = enlarged(probabilities[0], (90, 120)) > 0.4
    head = probabilities.astype(np.float32)
    assert (decoded(head, scores="probabilities", score_threshold=0.4) == wanted).mean() > 0.9999
    # Logits whose sigmoid is enlarged give the same, and other pixels than enlarged logits do.
    assert (decoded(logits, enlarge="probabilities", score_threshold=0.4) == wanted).mean() > 0.9999
    assert (decoded(logits, score_threshold=0.4) != wanted).mean() > 0.001


def test_bytes_stand_for_probabilities(logits: Any) -> None:
    head = np.round(255 / (1 + np.exp(-logits))).astype(np.uint8)
    wanted = enlarged(head[0], (90, 120)) > 0.3 * 255
    assert (decoded(head, scores="bytes", score_threshold=0.3) == wanted).mean() > 0.9999


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("rank", [2, 3])
def test_a_mask_keeps_its_cells(logits: Any, dtype: Any, rank: int) -> None:
    mask = (logits > 0).astype(dtype) * (255 if dtype == np.uint8 else 1)
    geometry = Geometry((16, 24), (32, 48), (0, 0, 32, 48))
    head = mask if rank == 3 else mask[0]
    assert np.array_equal(decoded(head, geometry=geometry, scores="mask"), np.kron(logits[0] > 0, np.ones((2, 2))))


def test_aligned_corners_are_aligned(logits: Any) -> None:
    wanted = enlarged(logits[0], (32, 48), aligned=True) > 0
    geometry = Geometry((32, 48), (32, 48), (0, 0, 32, 48))
    assert (decoded(logits, geometry=geometry, align_corners=True) == wanted).mean() > 0.999


def test_a_letterbox_shows_its_window_alone(logits: Any) -> None:
    geometry = Geometry((32, 24), (32, 48), (0, 12, 32, 36))
    wanted = enlarged(logits[0], (32, 48))[:, 12:36] > 0
    assert (decoded(logits, geometry=geometry) == wanted).mean() > 0.999


def test_with_one_label_the_rest_is_void(logits: Any) -> None:
    two = decoded(logits)
    one = decoded(logits, (OBJECT,))
    assert np.array_equal(one, np.where(two == 1, 0, 255))


@pytest.mark.parametrize(("threshold", "share"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_extremes_take_everything_and_nothing(logits: Any, threshold: float, share: float) -> None:
    assert decoded(logits, score_threshold=threshold).mean() == share
    assert decoded(logits * 1e30, score_threshold=threshold).mean() == share


def test_the_threshold_is_that_of_the_command(tiny: SimpleNamespace) -> None:
    picture = tiny.thirds(24, 48)
    picture[:, 16:32, 1] = 130  # logit 0.25, probability 0.56
    shares = {}
    for threshold in (None, 0.5, 0.6):
        with open_bundle(tiny.bundle("binary", out=f"b{threshold}"), threads=1, score_threshold=threshold) as segmenter:
            shares[threshold] = (segmenter(picture).class_map == 1).mean()  # type: ignore[union-attr]
    assert shares[None] == shares[0.5] > 0.2
    assert shares[0.6] == 0


def refusal(folder: Path, change: dict[str, Any], labels: int = 2, head: dict[str, Any] | None = None) -> str:
    path = folder / "manifest.json"
    content = json.loads(path.read_bytes())
    content["decode"] |= change
    content["labels"] = (content["labels"] * 2)[:labels]
    content["heads"][0] |= head or {}
    path.write_text(json.dumps(content))
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "labels", "head", "message"),
    [
        ({}, 3, {}, "so there must be 1 or 2 labels, but got 3"),
        ({}, 2, {"dtype": "uint8"}, "which is uint8, must be bytes or mask, but got logits"),
        ({"scores": "mask", "enlarge": "probabilities"}, 2, {}, "is for logits, but decode.scores is mask"),
        ({}, 2, {"shape": [1, 2, 8, 12]}, r"of role object_scores must have 1 channels, but got \[1, 2, 8, 12\]"),
        ({"score_threshold": 1.5}, 2, {}, "score_threshold"),
    ],
)
def test_contradictions_are_refused(
    tiny: SimpleNamespace, change: dict[str, Any], labels: int, head: dict[str, Any], message: str
) -> None:
    said = refusal(tiny.bundle("binary", golden=[]), change, labels, head)
    import re

    assert re.search(message, said), said


@pytest.mark.parametrize("rule", ["argmax", "query_semantic"])
def test_an_argmax_over_one_class_is_refused_when_a_bundle_is_opened(tiny: SimpleNamespace, rule: str) -> None:
    head = {"shape": [1, 1, 8, 12]} if rule == "argmax" else {"shape": [1, 4, 2]}
    said = refusal(tiny.bundle(rule, golden=[]), {}, 1, head)
    assert f"decode rule {rule} needs at least 2 labels, but there is 1: of one class, every pixel would be it" in said
    assert "rule binary cuts the score of one object at a threshold" in said


def test_one_name_becomes_background_and_object() -> None:
    assert [(label.name, label.dataset_id) for label in with_background(Label("road", 0, False, (9, 9, 9)))] == [
        ("background", 0),
        ("road", 1),
    ]
    assert with_background(Label("road", 7, False, (9, 9, 9)))[1].dataset_id == 7
