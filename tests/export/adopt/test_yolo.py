"""Networks of YOLOv5 and later, Ultralytics' and others, are adopted as their exporters wrote them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from constant_networks import ANCHORS, HEIGHT, NAMES, PROTOTYPES, WIDTH, constant_model, metadata, yolo_table
from reference import slow_prototypes

from segrt.export.adopt.guessing import Output, rows_of
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult
from segrt.runtime.results.labels.coco import LABELS as COCO

Adopt = Callable[..., tuple[Manifest, list[str], Any]]


def test_a_yolo_file_needs_no_options(adopt_and_run: Adopt) -> None:
    table, prototypes = yolo_table(np.random.default_rng(1))
    model = constant_model(
        {"output0": table[None], "output1": prototypes}, metadata(), shape=("batch", 3, "height", "width")
    )
    manifest, said, result = adopt_and_run(model)
    assert manifest.technique == "instance"
    assert manifest.decode == PrototypeMasks(rows="yolo", iou_threshold=0.7)
    spec = manifest.image_input
    assert spec.size == (HEIGHT, WIDTH)
    assert (spec.scale, spec.mean, spec.std) == (1 / 255, (0, 0, 0), (1, 1, 1))
    assert spec.resize == Resize("letterbox", pad=(114, 114, 114))
    assert [label.name for label in manifest.labels] == ["car", "person", "dog"]
    assert [label.dataset_id for label in manifest.labels] == [0, 1, 2]
    colors = {label.name: label.color for label in COCO}
    assert [label.color for label in manifest.labels] == [colors[name] for name in NAMES.values()]
    assert any("Ultralytics YOLO11n-seg model" in line and "3 classes" in line for line in said)
    assert "classes: the file's names, all of them in coco, which tells things from stuff" in said
    assert isinstance(result, InstanceResult)
    assert len(result) >= 6
    assert set(result.class_ids.tolist()) == {0, 1, 2}


def test_coco_s_own_numbers_go_with_coco_s_whole_list(adopt_and_run: Adopt) -> None:
    names = {index: label.name for index, label in enumerate(COCO)}
    prototypes = np.zeros((1, PROTOTYPES, HEIGHT // 4, WIDTH // 4), np.float32)
    outputs = {"output0": np.zeros((1, 84 + PROTOTYPES, ANCHORS), np.float32), "output1": prototypes}
    manifest, said, result = adopt_and_run(constant_model(outputs, metadata(names=str(names))))
    assert manifest.labels == COCO
    assert "classes: the file's names, which are those of coco" in said
    assert len(result) == 0


def test_masks_of_a_letterboxed_picture_lie_where_ultralytics_puts_them(adopt_and_run: Adopt) -> None:
    table, prototypes = yolo_table(np.random.default_rng(2))
    _, _, whole = adopt_and_run(constant_model({"output0": table[None], "output1": prototypes}, metadata()))
    # A picture of 32x96 fills rows 16 to 48 of the input.
    _, _, part = adopt_and_run(constant_model({"output0": table[None], "output1": prototypes}, metadata()), (32, 96))
    assert isinstance(whole, InstanceResult)
    assert isinstance(part, InstanceResult)
    scores = table[4:7].max(0)
    for score, mask in zip(whole.scores, whole.masks, strict=True):
        anchor = int(np.argmin(np.abs(scores - score)))
        x, y, width, height = table[:4, anchor]
        box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)
        wanted = slow_prototypes.prototype_mask(prototypes[0], table[7:, anchor], box, (HEIGHT, WIDTH))
        assert (mask != wanted).sum() <= 3
        index = int(np.argmin(np.abs(part.scores - score)))
        assert (part.masks[index] != wanted[16:48]).sum() <= 3


def test_yolov5_has_an_objectness_and_lists_anchors_first(adopt_and_run: Adopt) -> None:
    table, prototypes = yolo_table(np.random.default_rng(3))
    rows = np.concatenate([table[:4], np.full((1, ANCHORS), 0.8, np.float32), table[4:]]).T
    model = constant_model(
        {"output0": rows[None].copy(), "output1": prototypes}, {"stride": "32", "names": str(list(NAMES.values()))}
    )
    manifest, said, result = adopt_and_run(model)
    assert manifest.decode == PrototypeMasks(rows="yolov5", iou_threshold=0.45)
    assert any("a row of predictions is that of yolov5" in line for line in said)
    assert isinstance(result, InstanceResult)
    best = table[4:7].max(0)
    np.testing.assert_allclose(result.scores.max(), best.max() * 0.8, atol=1e-5)


def test_detections_suppressed_in_the_graph_are_told_by_their_number(adopt_and_run: Adopt) -> None:
    rows = np.zeros((1, 300, 6 + PROTOTYPES), np.float32)
    rows[0, 0] = [10, 10, 40, 50, 0.9, 2, 1, 1, 1, 1]
    rows[0, 1] = [50, 10, 80, 50, 0.6, 1, 1, 1, 1, 1]
    prototypes = np.ones((1, PROTOTYPES, HEIGHT // 4, WIDTH // 4), np.float32)
    manifest, _, result = adopt_and_run(
        constant_model({"output0": rows, "output1": prototypes}, metadata(end2end="True"))
    )
    assert manifest.decode == PrototypeMasks(rows="detections")
    assert isinstance(result, InstanceResult)
    assert result.class_ids.tolist() == [2, 1]
    np.testing.assert_allclose(result.boxes, [[10, 10, 40, 50], [50, 10, 80, 50]])


@pytest.mark.parametrize(
    ("classes", "shape", "rows"),
    [
        (2, (1, 10, 525), "yolo"),  # 10 values of YOLOv8, and of a detection
        (2, (1, 300, 10), "detections"),
        (1, (1, 300, 10), "detections"),  # 10 values of YOLOv5, and of a detection
        (1, (1, 1575, 10), "yolov5"),
        (1, (1, 9, 525), "yolo"),
        (3, (1, 12, 525), "yolov5"),
        (3, (1, 13, 525), None),
    ],
)
def test_rows_are_told_by_their_length_place_and_number(classes: int, shape: tuple[int, ...], rows: str | None) -> None:
    table = Output(TensorSpec("output0", "float32", shape), True, shape)
    grid = Output(TensorSpec("output1", "float32", (1, 4, 16, 24)), True, (1, 4, 16, 24))
    assert rows_of(table, grid, classes) == rows


@pytest.mark.parametrize(
    ("said", "agnostic"),
    [
        ({"head": "YOLOESegment26", "description": "Ultralytics mine model"}, True),
        ({"description": "Ultralytics YOLOe-11s-seg model"}, True),
        ({"head": "Segment", "description": "Ultralytics YOLO11n-seg model"}, msgspec.UNSET),
    ],
)
def test_boxes_of_all_classes_compete_in_a_yoloe(adopt_and_run: Adopt, said: dict[str, str], agnostic: Any) -> None:
    table, prototypes = yolo_table(np.random.default_rng(1))
    manifest, lines, _ = adopt_and_run(
        constant_model({"output0": table[None], "output1": prototypes}, {**metadata(), **said})
    )
    assert manifest.decode == PrototypeMasks(rows="yolo", iou_threshold=0.7, agnostic=agnostic)
    assert manifest.required_features == (("agnostic",) if agnostic is True else ())
    assert any("boxes of all classes compete" in line for line in lines) == (agnostic is True)


def test_a_yolo_without_metadata_is_told_by_its_shapes(adopt_and_run: Adopt, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(NAMES.values()))
    table, prototypes = yolo_table(np.random.default_rng(4))
    model = constant_model({"a": table[None], "b": prototypes})
    manifest, said, _ = adopt_and_run(model, technique="instance", labels=str(names))
    assert manifest.decode == PrototypeMasks(rows="yolo")
    assert manifest.image_input.resize == Resize("letterbox", pad=(114, 114, 114))
    assert "normalisation guessed: YOLO's, x/255; change it with --scale, --mean, --std" in said
    assert any(line.startswith("resizing guessed: YOLO's, letterbox in 114") for line in said)
    manifest, _, _ = adopt_and_run(
        model, technique="instance", labels=str(names), scale=1.0, resize=Resize(), iou_threshold=0.3, rows="yolo"
    )
    assert manifest.decode == PrototypeMasks(rows="yolo", iou_threshold=0.3)
    assert (manifest.image_input.scale, manifest.image_input.resize) == (1.0, Resize())
    with pytest.raises(SegrtError, match="the file does not say what it was trained for; add --technique"):
        adopt_and_run(model)
    with pytest.raises(SegrtError, match="the file names no classes; add --labels voc, coco"):
        adopt_and_run(model, technique="instance")


def test_a_network_without_masks_is_refused(adopt_and_run: Adopt) -> None:
    model = constant_model({"output0": np.zeros((1, 7, 1200), np.float32)}, metadata(task="detect"))
    with pytest.raises(SegrtError, match="its task is 'detect', which gives no masks; export a -seg network"):
        adopt_and_run(model)
    broken = constant_model({"output0": np.zeros((1, 7, 1200), np.float32)}, metadata(names="{0: __import__('os')}"))
    with pytest.raises(SegrtError, match="its metadata 'names' is no list of classes"):
        adopt_and_run(broken)
