"""Small networks that came out wrong in trials give their right values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime import open_bundle
from segrt.runtime.files.images import read_image


@pytest.fixture
def field(fixtures: Path) -> Path:
    """The folder of the cases."""
    folder = fixtures / "field"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def result_of(network: Path, out: Path, picture: np.ndarray, **options: Any) -> Any:
    adopt_network(network, out, AdoptOptions(**options))
    with open_bundle(out, threads=1) as segmenter:
        return segmenter(picture)


@pytest.mark.parametrize("name", ["fullmask/full", "fullmask/free", "noshape/masks"])
@pytest.mark.parametrize("factor", [1, 3])
def test_masks_in_the_whole_picture(field: Path, tmp_path: Path, name: str, factor: int) -> None:
    labels = str(field / Path(name).parent / "two.txt")
    picture = np.zeros((96 * factor, 96 * factor, 3), np.uint8)
    result = result_of(
        field / f"{name}.onnx", tmp_path / "b", picture, technique="instance", labels=labels, first_class=1
    )
    rows, columns = (np.mgrid[: 96 * factor, : 96 * factor] + 0.5) / factor - 0.5
    expected = (rows - 60) ** 2 + (columns - 30) ** 2 < 20**2
    mask = result.masks[0]
    assert (mask & expected).sum() / (mask | expected).sum() > (0.999 if factor == 1 else 0.96)
    assert result.labels[result.class_ids[0]].name == "cat"


@pytest.mark.parametrize(
    ("case", "expected"), [("hf_bgr", 2), ("hf_norescale", 0), ("hf_onemean", 0), ("hf_hub/onnx", 0)]
)
def test_files_beside_the_network(field: Path, tmp_path: Path, case: str, expected: int) -> None:
    red = read_image(field / "hf_bgr/red.png")
    result = result_of(field / case / "model.onnx", tmp_path / "b", red)
    assert (result.class_map == expected).all()
    with open_bundle(tmp_path / "b", threads=1) as segmenter:
        heads, _ = segmenter.heads(red)
    values = next(iter(heads.values()))[0, :, 32, 32]
    by_hand = {
        "hf_bgr": [0, 0, 1],
        "hf_norescale": [(255 - 0.5) / 0.5, -1, -1],
        "hf_onemean": [1, -1, -1],
        "hf_hub/onnx": [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    }
    np.testing.assert_allclose(values, by_hand[case], atol=1e-3)


def test_rf_detr_of_five_classes(field: Path, tmp_path: Path) -> None:
    result = result_of(
        field / "rfdetr/five.onnx",
        tmp_path / "b",
        np.zeros((64, 64, 3), np.uint8),
        technique="instance",
        labels=str(field / "rfdetr/five.txt"),
    )
    assert [result.labels[index].name for index in result.class_ids] == ["b", "c"]
    np.testing.assert_allclose(result.scores, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1.5))], atol=1e-6)
    assert [int(mask.sum()) for mask in result.masks] == [64 * 32] * 2


def test_a_class_map_of_floats(field: Path, tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :20, 2] = picture[:, 20:40, 1] = picture[:, 40:, 0] = 255
    labels = str(field / "floatmap/three.txt")
    result = result_of(field / "floatmap/map.onnx", tmp_path / "b", picture, technique="semantic", labels=labels)
    assert result.class_map[32, [10, 30, 50]].tolist() == [0, 1, 2]


def test_paddle2onnx_2_is_normalised_as_it_was_trained(field: Path, tmp_path: Path) -> None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    picture = read_image(field / "paddle/im.png")
    result = result_of(field / "paddle/argmax.onnx", tmp_path / "b", picture, labels=str(field / "paddle/five.txt"))
    fed = ((picture[..., ::-1].astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
    expected = ReferenceEvaluator(onnx.load(field / "paddle/argmax.onnx")).run(None, {"x": fed})[0][0]
    assert (result.class_map == expected).mean() > 0.999
    assert len(np.unique(expected)) > 1


def test_yolo_masks_stay_in_their_box(field: Path, tmp_path: Path) -> None:
    result = result_of(field / "yolo_leak/leak.onnx", tmp_path / "b", np.zeros((160, 160, 3), np.uint8))
    rows, columns = np.nonzero(result.masks[0])
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (40, 120, 40, 120)
    assert result.masks[0].sum() == 80 * 80
