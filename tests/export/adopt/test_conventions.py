"""Files of other exporters say what they are, and their heads become the same objects as in their own framework."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.adopt.guessing import Output, rows_of
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult, PanopticResult
from segrt.runtime.results.labels.coco import LABELS as COCO

HEIGHT, WIDTH, PROTOTYPES, ANCHORS = 64, 96, 4, 1200
NAMES = {0: "car", 1: "person", 2: "dog"}


def constant_model(
    outputs: dict[str, np.ndarray],
    metadata: dict[str, str] | None = None,
    *,
    shape: tuple[Any, ...] = (1, 3, HEIGHT, WIDTH),
    name: str = "images",
    opset: int = 17,
    extra: dict[str, tuple[int, tuple[Any, ...]]] | None = None,
    producer: str = "",
) -> onnx.ModelProto:
    """A network whose outputs are always the same."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(key, kind, dims) for key, (kind, dims) in (extra or {}).items()]
    values = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for key, value in outputs.items()
    ]
    constants = [numpy_helper.from_array(value, f"constant_{key}") for key, value in outputs.items()]
    nodes = [helper.make_node("Identity", [f"constant_{key}"], [key]) for key in outputs]
    graph = helper.make_graph(nodes, "constant", inputs, values, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model.producer_name = producer
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return model


def yolo_table(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """YOLOv8's predictions of six objects, found by ten anchors each among many dead ones, and prototypes."""
    table = np.zeros((4 + len(NAMES) + PROTOTYPES, ANCHORS), np.float32)
    table[:4] = rng.uniform(5, 30, (4, ANCHORS))
    for index in range(6):
        at = slice(index * 10, index * 10 + 10)
        center = np.array([[12 + 14 * index], [20 + 4 * index]])
        table[:2, at] = center + rng.normal(0, 0.5, (2, 10))
        table[2:4, at] = np.array([[12], [22]]) + rng.normal(0, 0.5, (2, 10))
        table[4 + index % 3, at] = rng.uniform(0.4, 0.95, 10)
        table[7:, at] = rng.normal(size=(PROTOTYPES, 1)) + rng.normal(0, 0.05, (PROTOTYPES, 10))
    prototypes = rng.normal(0.5, 1, (1, PROTOTYPES, HEIGHT // 4, WIDTH // 4)).astype(np.float32)
    return table, prototypes


def metadata(**more: str) -> dict[str, str]:
    """What Ultralytics' exporter writes."""
    return {
        "description": "Ultralytics YOLO11n-seg model trained on coco.yaml",
        "author": "Ultralytics",
        "task": "segment",
        "stride": "32",
        "batch": "1",
        "imgsz": str([HEIGHT, WIDTH]),
        "names": str(NAMES),
        **more,
    }


Adopt = Callable[..., tuple[Manifest, list[str], Any]]


@pytest.fixture
def adopt(tiny: SimpleNamespace, tmp_path: Path) -> Adopt:
    """Adopt a model, run the bundle on a grey picture, verify it: → (manifest, what was said, result)."""

    def call(model: onnx.ModelProto, size: tuple[int, int] = (HEIGHT, WIDTH), **options: Any) -> Any:
        onnx.checker.check_model(model)
        out = tmp_path / "bundle"
        said = adopt_network(tiny.save(model), out, AdoptOptions(**{"overwrite": True, **options}))
        with open_bundle(out, threads=1, backend="onnxruntime") as segmenter:
            result = segmenter(np.full((*size, 3), 90, np.uint8))
            assert all(check.passed for check in verify(segmenter))
        return read_bundle(out).manifest, said, result

    return call


def test_a_yolo_file_needs_no_options(adopt: Adopt) -> None:
    table, prototypes = yolo_table(np.random.default_rng(1))
    model = constant_model(
        {"output0": table[None], "output1": prototypes}, metadata(), shape=("batch", 3, "height", "width")
    )
    manifest, said, result = adopt(model)
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


def test_coco_s_own_numbers_go_with_coco_s_whole_list(adopt: Adopt) -> None:
    names = {index: label.name for index, label in enumerate(COCO)}
    prototypes = np.zeros((1, PROTOTYPES, HEIGHT // 4, WIDTH // 4), np.float32)
    outputs = {"output0": np.zeros((1, 84 + PROTOTYPES, ANCHORS), np.float32), "output1": prototypes}
    manifest, said, result = adopt(constant_model(outputs, metadata(names=str(names))))
    assert manifest.labels == COCO
    assert "classes: the file's names, which are those of coco" in said
    assert len(result) == 0


def test_masks_of_a_letterboxed_picture_lie_where_ultralytics_puts_them(adopt: Adopt) -> None:
    import reference

    table, prototypes = yolo_table(np.random.default_rng(2))
    _, _, whole = adopt(constant_model({"output0": table[None], "output1": prototypes}, metadata()))
    # A picture of 32x96 fills rows 16 to 48 of the input.
    _, _, part = adopt(constant_model({"output0": table[None], "output1": prototypes}, metadata()), (32, 96))
    assert isinstance(whole, InstanceResult)
    assert isinstance(part, InstanceResult)
    scores = table[4:7].max(0)
    for score, mask in zip(whole.scores, whole.masks, strict=True):
        anchor = int(np.argmin(np.abs(scores - score)))
        x, y, width, height = table[:4, anchor]
        box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)
        wanted = reference.prototype_mask(prototypes[0], table[7:, anchor], box, (HEIGHT, WIDTH))
        assert (mask != wanted).sum() <= 3
        index = int(np.argmin(np.abs(part.scores - score)))
        assert (part.masks[index] != wanted[16:48]).sum() <= 3


def test_yolov5_has_an_objectness_and_lists_anchors_first(adopt: Adopt) -> None:
    table, prototypes = yolo_table(np.random.default_rng(3))
    rows = np.concatenate([table[:4], np.full((1, ANCHORS), 0.8, np.float32), table[4:]]).T
    model = constant_model(
        {"output0": rows[None].copy(), "output1": prototypes}, {"stride": "32", "names": str(list(NAMES.values()))}
    )
    manifest, said, result = adopt(model)
    assert manifest.decode == PrototypeMasks(rows="yolov5", iou_threshold=0.45)
    assert any("a row of predictions is that of yolov5" in line for line in said)
    assert isinstance(result, InstanceResult)
    best = table[4:7].max(0)
    np.testing.assert_allclose(result.scores.max(), best.max() * 0.8, atol=1e-5)


def test_detections_suppressed_in_the_graph_are_told_by_their_number(adopt: Adopt) -> None:
    rows = np.zeros((1, 300, 6 + PROTOTYPES), np.float32)
    rows[0, 0] = [10, 10, 40, 50, 0.9, 2, 1, 1, 1, 1]
    rows[0, 1] = [50, 10, 80, 50, 0.6, 1, 1, 1, 1, 1]
    prototypes = np.ones((1, PROTOTYPES, HEIGHT // 4, WIDTH // 4), np.float32)
    manifest, _, result = adopt(constant_model({"output0": rows, "output1": prototypes}, metadata(end2end="True")))
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


def test_a_yolo_without_metadata_is_told_by_its_shapes(adopt: Adopt, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(NAMES.values()))
    table, prototypes = yolo_table(np.random.default_rng(4))
    model = constant_model({"a": table[None], "b": prototypes})
    manifest, said, _ = adopt(model, technique="instance", labels=str(names))
    assert manifest.decode == PrototypeMasks(rows="yolo")
    assert manifest.image_input.resize == Resize("letterbox", pad=(114, 114, 114))
    assert "normalisation guessed: YOLO's, x/255; change it with --scale, --mean, --std" in said
    assert any(line.startswith("resizing guessed: YOLO's, letterbox in 114") for line in said)
    manifest, _, _ = adopt(
        model, technique="instance", labels=str(names), scale=1.0, resize=Resize(), iou_threshold=0.3, rows="yolo"
    )
    assert manifest.decode == PrototypeMasks(rows="yolo", iou_threshold=0.3)
    assert (manifest.image_input.scale, manifest.image_input.resize) == (1.0, Resize())
    with pytest.raises(SegrtError, match="the file does not say what it was trained for; add --technique"):
        adopt(model)
    with pytest.raises(SegrtError, match="the file names no classes; add --labels voc, coco"):
        adopt(model, technique="instance")


def test_a_network_without_masks_is_refused(adopt: Adopt) -> None:
    model = constant_model({"output0": np.zeros((1, 7, 1200), np.float32)}, metadata(task="detect"))
    with pytest.raises(SegrtError, match="its task is 'detect', which gives no masks; export a -seg network"):
        adopt(model)
    broken = constant_model({"output0": np.zeros((1, 7, 1200), np.float32)}, metadata(names="{0: __import__('os')}"))
    with pytest.raises(SegrtError, match="its metadata 'names' is no list of classes"):
        adopt(broken)


def yolact_heads(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two cars and a person among priors on a grid; conf is raw, its first class background."""
    rows, columns = np.mgrid[:8, :12].reshape(2, -1)
    prior = np.stack([(columns + 0.5) / 12, (rows + 0.5) / 8, np.full(96, 0.2), np.full(96, 0.3)], 1).astype(np.float32)
    conf = np.full((1, 96, 4), -4, np.float32)
    conf[..., 0] = 4
    loc = rng.normal(0, 0.5, (1, 96, 4)).astype(np.float32)
    for anchor, class_id in ((26, 1), (33, 1), (56, 2)):
        conf[0, anchor, class_id] = 8
    mask = np.tanh(rng.normal(size=(1, 96, PROTOTYPES))).astype(np.float32)
    proto = np.abs(rng.normal(size=(1, HEIGHT // 4, WIDTH // 4, PROTOTYPES))).astype(np.float32)
    return {"loc": loc, "conf": conf, "mask": mask, "prior": prior, "proto": proto}


@pytest.mark.parametrize("probabilities", [False, True])
def test_yolact_is_decoded_in_the_graph(adopt: Adopt, tmp_path: Path, probabilities: bool) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(NAMES.values()))
    heads = yolact_heads(np.random.default_rng(5))
    scores = np.exp(heads["conf"]) / np.exp(heads["conf"]).sum(-1, keepdims=True)
    given = heads | {"conf": scores.astype(np.float32)} if probabilities else heads
    manifest, said, result = adopt(constant_model(given, opset=11), technique="instance", labels=str(names))
    assert "YOLACT's loc, conf, mask, prior and proto were joined into predictions and prototypes" in said
    assert {head.role for head in manifest.heads} == {"predictions", "prototypes"}
    assert manifest.image_input.mean == (123.68, 116.78, 103.94)
    assert manifest.image_input.resize == Resize()
    assert isinstance(result, InstanceResult)
    assert sorted(result.class_ids.tolist()) == [0, 0, 1]
    # yolact, layers/box_utils.py: decode, then the corners in pixels.
    prior, loc = heads["prior"], heads["loc"][0]
    center = prior[:, :2] + loc[:, :2] * 0.1 * prior[:, 2:]
    size = prior[:, 2:] * np.exp(loc[:, 2:] * 0.2)
    corners = np.concatenate([center - size / 2, center + size / 2], 1) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    for box, score in zip(result.boxes, result.scores, strict=True):
        distance = np.abs(np.clip(corners, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]) - box).max(1)
        anchor = int(distance.argmin())
        assert distance[anchor] < 1e-3
        assert score == pytest.approx(scores[0, anchor, 1:].max(), abs=1e-5)


def test_mmdeploy_s_dets_hold_boxes_and_scores(adopt: Adopt) -> None:
    dets = np.array([[[4, 8, 40, 48, 0.9], [50, 10, 90, 60, 0.7], [0, 0, 1, 1, 0.01]]], np.float32)
    outputs = {
        "dets": dets,
        "labels": np.array([[2, 0, 1]], np.int64),
        "masks": np.full((1, 3, 28, 28), 0.9, np.float32),
    }
    model = constant_model(outputs, name="input")
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "num_dets"
    manifest, said, result = adopt(model, labels="coco")
    assert manifest.technique == "instance"
    assert manifest.decode == PasteMasks()
    assert {head.role: head.shape for head in manifest.heads}["boxes"] == (1, "detections", 4)
    assert manifest.image_input.mean == (0.485, 0.456, 0.406)
    assert any("as mmdeploy does" in line for line in said)
    assert isinstance(result, InstanceResult)
    np.testing.assert_allclose(result.boxes, dets[0, :2, :4])
    np.testing.assert_allclose(result.scores, [0.9, 0.7])
    assert [result.labels[index].name for index in result.class_ids] == ["car", "person"]
    outputs["masks"] = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)
    with pytest.raises(SegrtError, match="export it again with export_postprocess_mask=False"):
        adopt(constant_model(outputs, name="input"), labels="coco")


def test_paddleseg_is_normalised_its_own_way(adopt: Adopt) -> None:
    classes = np.full((1, HEIGHT, WIDTH), 3, np.int32)
    model = constant_model({"save_infer_model/scale_0.tmp_0": classes}, name="x", producer="PaddlePaddle")
    manifest, said, result = adopt(model, labels="cityscapes")
    assert manifest.technique == "semantic"
    spec = manifest.image_input
    assert (spec.scale, spec.mean, spec.std) == (1 / 255, (0.5,) * 3, (0.5,) * 3)
    assert any("PaddleSeg's normalisation" in line for line in said)
    assert (result.class_map == 3).all()


def test_optimum_s_sidecar_files_are_read(adopt: Adopt, tmp_path: Path) -> None:
    names = {"0": "person", "1": "wall", "2": "floor"}
    config = {
        "architectures": ["Mask2FormerForUniversalSegmentation"],
        "model_type": "mask2former",
        "_name_or_path": "facebook/mask2former-swin-tiny-ade-panoptic",
        "id2label": names,
    }
    processor = {
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.2, 0.2],
        "rescale_factor": 1 / 255,
        "resample": 3,
        "size": {"height": HEIGHT, "width": WIDTH},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    rows = np.zeros((1, 5, 4), np.float32)
    rows[0, :, 3] = 9
    rows[0, 0] = [9, 0, 0, 0]
    masks = np.full((1, 5, 16, 24), -5, np.float32)
    masks[0, 0, :, :12] = 5
    model = constant_model(
        {"class_queries_logits": rows, "masks_queries_logits": masks},
        name="pixel_values",
        shape=("batch", 3, "height", "width"),
        extra={"pixel_mask": (TensorProto.INT64, ("batch", "height", "width"))},
    )
    manifest, said, result = adopt(model, score_threshold=0.4)
    assert manifest.technique == "panoptic"
    assert manifest.decode == MergeQueries("mask2former", 0.4)
    spec = manifest.image_input
    assert spec.size == (HEIGHT, WIDTH)
    assert (spec.mean, spec.std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    assert spec.resize == Resize("stretch", "cubic", antialias=True)
    assert manifest.inputs[1].role == "valid_mask"
    assert [(label.name, label.isthing) for label in manifest.labels] == [
        ("person", True),
        ("wall", False),
        ("floor", False),
    ]
    assert any(line.startswith("config.json says: Mask2FormerForUniversalSegmentation") for line in said)
    assert isinstance(result, PanopticResult)
    assert [segment.class_id for segment in result.segments] == [0]


def test_detr_s_padding_and_gapped_classes_come_from_its_files(adopt: Adopt, tmp_path: Path) -> None:
    names = {str(index): f"LABEL_{index}" for index in range(7)} | {"1": "person", "3": "car", "5": "N/A"}
    config = {"architectures": ["DetrForSegmentation"], "model_type": "detr", "id2label": names}
    processor = {
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "size": {"shortest_edge": 48, "longest_edge": 96},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    outputs = {
        "logits": np.zeros((1, 5, 8), np.float32),
        "pred_boxes": np.zeros((1, 5, 4), np.float32),
        "pred_masks": np.zeros((1, 5, 16, 24), np.float32),
    }
    manifest, _, _ = adopt(constant_model(outputs, name="pixel_values"))
    assert manifest.technique == "panoptic"
    assert manifest.decode == MergeQueries()
    assert [label.name for label in manifest.labels][1:4:2] == ["person", "car"]
    assert len(manifest.labels) == 7
    resize = manifest.image_input.resize
    assert (resize.rule, resize.shortest_edge, resize.pad_side) == ("shortest_edge", 48, "bottom_right")
    assert resize.pad == (124, 116, 104)
    assert {head.role: head.name for head in manifest.heads} == {"class_logits": "logits", "mask_logits": "pred_masks"}


def test_what_tensorrt_refuses_is_said(adopt: Adopt) -> None:
    table, prototypes = yolo_table(np.random.default_rng(6))
    model = constant_model({"output0": table[None], "output1": prototypes}, metadata())
    model.graph.node.append(helper.make_node("NonZero", ["constant_output0"], ["found"]))
    _, said, _ = adopt(model)
    assert "TensorRT has no kernel for NonZero: the network runs in ONNX Runtime alone" in said


def test_panoptic_deeplab_is_told_by_its_channels(adopt: Adopt) -> None:
    outputs = {
        "sem": np.zeros((1, 19, 16, 24), np.float32),
        "ctr": np.zeros((1, 1, 16, 24), np.float32),
        "off": np.zeros((1, 2, 16, 24), np.float32),
    }
    manifest, said, _ = adopt(constant_model(outputs), technique="panoptic", labels="cityscapes", score_threshold=0.2)
    assert manifest.decode == GroupCenters(0.2)
    assert {head.role: head.name for head in manifest.heads} == {
        "semantic_logits": "sem",
        "center_heatmap": "ctr",
        "offsets": "off",
    }
    assert "offsets guessed: y then x, in cells of the head's grid" in said
