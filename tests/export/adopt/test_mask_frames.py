"""Where masks of boxes lie, and what scores are, is told by signs that agree, or asked with a picture of both."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from constant_networks import HEIGHT, WIDTH, constant_model

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.asking import adopt_or_ask, try_out
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import read_image, write_image
from segrt.runtime.results import InstanceResult

Adopt = Callable[..., tuple[Manifest, list[str], Any]]
BOXES = np.array([[8, 6, 40, 50], [50, 10, 90, 60]], np.float32)


def disc(box: np.ndarray, size: tuple[int, int] = (HEIGHT, WIDTH), frame: tuple[int, int] = (HEIGHT, WIDTH)) -> Any:
    """An ellipse that fills its box, 0 or 1, in a grid of `size` over a picture of `frame`."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    rows, columns = (rows + 0.5) * frame[0] / size[0], (columns + 0.5) * frame[1] / size[1]
    x0, y0, x1, y1 = box
    inside = ((columns - (x0 + x1) / 2) / (x1 - x0) * 2) ** 2 + ((rows - (y0 + y1) / 2) / (y1 - y0) * 2) ** 2 < 1
    return inside.astype(np.float32)


def detector(masks: np.ndarray, ids: tuple[int, ...] = (1, 2), *, batch: bool = False) -> onnx.ModelProto:
    """A detector of two objects as from torchvision's export (no batch axis), or with one."""
    outputs = {
        "boxes": BOXES,
        "labels": np.array(ids, np.int64),
        "scores": np.array([0.9, 0.8], np.float32),
        "masks": masks,
    }
    if batch:
        outputs = {name: value[None] for name, value in outputs.items()}
    return constant_model(outputs)


def whole(scale: float = 1.0) -> np.ndarray:
    """Masks (2, 1, h, w) that lie in the picture."""
    size = (round(HEIGHT * scale), round(WIDTH * scale))
    return np.stack([disc(box, size) for box in BOXES])[:, None]


def small() -> np.ndarray:
    """Masks (2, 1, 28, 28) that lie in their boxes."""
    return np.stack([disc(np.array([0, 0, 28, 28]), (28, 28), (28, 28))] * 2)[:, None]


@pytest.fixture
def two(tmp_path: Path) -> str:
    """A file of two classes."""
    path = tmp_path / "two.txt"
    path.write_text("cat\ndog\n")
    return str(path)


def iou(mask: np.ndarray, wanted: np.ndarray) -> float:
    mask, wanted = mask.astype(bool), wanted.astype(bool)
    return float((mask & wanted).sum() / (mask | wanted).sum())


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (128, 192), (97, 143)])
def test_masks_in_the_whole_picture_are_not_pasted_again(adopt_and_run: Adopt, two: str, size: tuple[int, int]) -> None:
    manifest, said, result = adopt_and_run(detector(whole()), size, technique="instance", labels=two)
    assert manifest.decode.options["masks_in"] == "picture"
    assert manifest.decode.options["first_class"] == 1
    assert "normalisation guessed: torchvision's, x/255; change it with --scale, --mean, --std" in said
    assert isinstance(result, InstanceResult)
    assert [result.labels[index].name for index in result.class_ids] == ["cat", "dog"]
    scale = np.array([size[1] / WIDTH, size[0] / HEIGHT] * 2)
    for mask, box in zip(result.masks, BOXES, strict=True):
        assert iou(mask, disc(box * scale, size, size)) > (0.999 if size == (HEIGHT, WIDTH) else 0.96)


@pytest.mark.parametrize(
    ("masks", "where"),
    [
        (small(), "box"),
        (whole(), "picture"),
        (whole().astype(bool), "picture"),
        (np.where(whole() > 0, 5, -5).astype(np.float32), "picture"),
        (np.where(small() > 0, 5, -5).astype(np.float32), "box"),
        (small().astype(np.float64), "box"),
    ],
    ids=["box", "picture", "bool", "logits in the picture", "logits in boxes", "double"],
)
def test_masks_of_any_kind_give_the_same_objects(adopt_and_run: Adopt, two: str, masks: Any, where: str) -> None:
    manifest, said, result = adopt_and_run(detector(masks), technique="instance", labels=two)
    assert manifest.decode.options["masks_in"] == where
    assert any("a Sigmoid was added" in line for line in said) == (masks.min() < 0)
    assert any("a Cast to float32 was added" in line for line in said) == (masks.dtype in (bool, np.float64))
    for mask, box in zip(result.masks, BOXES, strict=True):
        assert iou(mask, disc(box)) > 0.93


def test_masks_on_a_coarser_grid_are_asked_for_with_a_picture(
    tiny: SimpleNamespace, adopt_and_run: Adopt, tmp_path: Path, two: str
) -> None:
    # Half the picture's size: by it they lie in boxes, by their pixels in the picture.
    path = tiny.save(detector(whole(0.5), batch=True))
    options = AdoptOptions("instance", two)
    with pytest.raises(
        SegrtError, match=r"may lie in their boxes or in the whole picture \(their size the box, "
    ) as asked:
        adopt_or_ask(path, tmp_path / "out", options)
    sheet = tmp_path / "out-candidates.png"
    text = str(asked.value)
    assert text.endswith(f"; add --masks box or --masks picture; {sheet} shows each on three pictures")
    assert not (tmp_path / "out").exists()
    height, width = read_image(sheet).shape[:2]
    assert width > 1000
    assert height > 400
    for where in ("box", "picture"):
        manifest, _, result = adopt_and_run(
            detector(whole(0.5), batch=True), technique="instance", labels=two, masks=where
        )
        assert manifest.decode.options["masks_in"] == where
        assert (iou(result.masks[0], disc(BOXES[0])) > 0.9) == (where == "picture")
    with pytest.raises(
        SegrtError, match=r"out-candidates\.png, which would show them, exists: --overwrite replaces it"
    ):
        adopt_or_ask(path, tmp_path / "out", options)


def test_ids_that_hold_no_zero_count_a_background(adopt_and_run: Adopt, two: str) -> None:
    _, _, result = adopt_and_run(detector(small(), (2, 1), batch=True), technique="instance", labels=two)
    assert [result.labels[index].name for index in result.class_ids] == ["dog", "cat"]
    manifest, _, _ = adopt_and_run(detector(small(), (0, 1), batch=True), technique="instance", labels=two)
    assert manifest.decode.options["first_class"] == 0
    manifest, _, _ = adopt_and_run(
        detector(small(), (1, 1), batch=True), technique="instance", labels=two, first_class=1
    )
    assert manifest.decode.options["first_class"] == 1


def rfdetr(columns: int, best: tuple[int, ...] = (1, 3)) -> onnx.ModelProto:
    """RF-DETR-Seg's outputs of queries that see the classes `best`."""
    labels = np.full((1, len(best), columns), -4, np.float32)
    labels[0, range(len(best)), best] = 2
    masks = np.full((1, len(best), 16, 24), -5, np.float32)
    masks[0, 0, :, :12] = 5
    masks[0, 1:, :, 12:] = 5
    dets = np.full((1, len(best), 4), 0.5, np.float32)
    return constant_model({"dets": dets, "labels": labels, "masks": masks}, name="input")


@pytest.mark.parametrize("columns", [6, 5])
def test_rf_detr_s_scores_are_sigmoids_and_its_last_column_the_background(
    adopt_and_run: Adopt, tmp_path: Path, columns: int
) -> None:
    names = tmp_path / "five.txt"
    names.write_text("a\nb\nc\nd\ne\n")
    manifest, said, result = adopt_and_run(rfdetr(columns), technique="instance", labels=str(names))
    assert manifest.decode.options["activation"] == "sigmoid"
    assert any("it was cut" in line for line in said) == (columns == 6)
    assert [result.labels[index].name for index in result.class_ids] == ["b", "d"]
    np.testing.assert_allclose(result.scores, 1 / (1 + np.exp(-2)), atol=1e-6)
    assert result.masks[0].sum() == HEIGHT * WIDTH // 2
    assert (manifest.image_input.mean, manifest.image_input.resize.rule) == ((0.485, 0.456, 0.406), "stretch")


def test_mmdeploy_s_names_alone_do_not_make_rf_detr(adopt_and_run: Adopt) -> None:
    dets = np.array([[[4, 8, 40, 48, 0.9], [50, 10, 90, 60, 0.7]]], np.float32)
    outputs = {"dets": dets, "labels": np.array([[2, 0]], np.int64), "masks": np.full((1, 2, 28, 28), 0.9, np.float32)}
    _, said, result = adopt_and_run(constant_model(outputs, name="input"), labels="coco")
    assert any("as mmdeploy does" in line for line in said)
    assert len(result) == 2


def test_a_column_more_that_never_wins_is_asked_for(
    tiny: SimpleNamespace, adopt_and_run: Adopt, tmp_path: Path
) -> None:
    names = tmp_path / "five.txt"
    names.write_text("a\nb\nc\nd\ne\n")
    model = rfdetr(6)
    for value, name in zip(model.graph.output, ("boxes_of", "logits_of", "masks_of"), strict=True):
        value.name = name
    for node, name in zip(model.graph.node, ("boxes_of", "logits_of", "masks_of"), strict=True):
        node.output[0] = name
    path = tiny.save(model)
    with pytest.raises(
        SegrtError, match=r"in none of 6 queries is it the highest.*add --activation softmax or --activ"
    ):
        adopt_or_ask(path, tmp_path / "out", AdoptOptions("instance", str(names)))
    assert (tmp_path / "out-candidates.png").exists()
    for activation in ("softmax", "sigmoid"):
        manifest, _, _ = adopt_and_run(model, technique="instance", labels=str(names), activation=activation)
        assert manifest.decode.options["activation"] == activation


def test_outputs_that_look_alike_are_named(adopt_and_run: Adopt, tmp_path: Path) -> None:
    names = tmp_path / "three.txt"
    names.write_text("a\nb\nc\n")
    maps = {f"d{index}": np.zeros((1, 3, 16, 24), np.float32) for index in range(7)}
    maps["d0"][0, 1] = 1
    maps["d1"][0, 2] = 1
    _, said, result = adopt_and_run(constant_model(maps), technique="semantic", labels=str(names))
    assert (
        "outputs 'd1', 'd2', 'd3', 'd4', 'd5', 'd6' look like 'd0', which was taken; --head semantic_logits=NAME takes "
        "another"
    ) in said
    assert (result.class_map == 1).all()
    _, said, result = adopt_and_run(
        constant_model(maps), technique="semantic", labels=str(names), heads={"semantic_logits": "d1"}
    )
    assert (result.class_map == 2).all()


@pytest.mark.parametrize("kind", ["float32", "float16", "uint16"])
@pytest.mark.parametrize("shape", [(1, 1, 16, 24), (1, 16, 24), (1, 16, 24, 1), (16, 24)])
def test_class_maps_of_other_types_are_class_maps(
    adopt_and_run: Adopt, tmp_path: Path, kind: str, shape: tuple[int, ...]
) -> None:
    names = tmp_path / "four.txt"
    names.write_text("a\nb\nc\nd\n")
    ids = np.repeat(np.arange(4), 6)[None].repeat(16, 0).astype(kind).reshape(shape)
    manifest, said, result = adopt_and_run(constant_model({"map": ids}), technique="semantic", labels=str(names))
    assert manifest.decode.rule_name == "class_map"
    assert any("a Cast to int32 was added" in line for line in said)
    assert result.class_map[0, [4, 30, 60, 90]].tolist() == [0, 1, 2, 3]


def test_readings_are_drawn_on_request(tiny: SimpleNamespace, tmp_path: Path, names: str) -> None:
    from foreign_networks import float_model

    write_image(tmp_path / "photo.png", tiny.thirds(96, 144))
    path = tiny.save(float_model(tiny))
    told = try_out(path, tmp_path / "out", AdoptOptions("semantic", names), [tmp_path / "photo.png"])
    assert told[0] == "as guessed: 3 classes"
    assert any(line.startswith("--color bgr: ") for line in told)
    assert told[-1].startswith(f"{tmp_path / 'out-candidates.png'}: shows each")
    assert not (tmp_path / "out").exists()
    assert read_image(tmp_path / "out-candidates.png").size
    with pytest.raises(SegrtError, match=r"out-candidates\.png: exists already; add --overwrite to replace it"):
        try_out(path, tmp_path / "out", AdoptOptions("semantic", names), [tmp_path / "photo.png"])
