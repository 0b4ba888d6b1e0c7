"""Files of other exporters say what they are, and their heads become the same objects as in their own framework."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constant_networks import HEIGHT, NAMES, WIDTH, constant_model, metadata, yolact_heads, yolo_table
from onnx import TensorProto, helper

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult, PanopticResult

Adopt = Callable[..., tuple[Manifest, list[str], Any]]


@pytest.mark.parametrize("probabilities", [False, True])
def test_yolact_is_decoded_in_the_graph(adopt_and_run: Adopt, tmp_path: Path, probabilities: bool) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(NAMES.values()))
    heads = yolact_heads(np.random.default_rng(5))
    scores = np.exp(heads["conf"]) / np.exp(heads["conf"]).sum(-1, keepdims=True)
    given = heads | {"conf": scores.astype(np.float32)} if probabilities else heads
    manifest, said, result = adopt_and_run(constant_model(given, opset=11), technique="instance", labels=str(names))
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


def test_mmdeploy_s_dets_hold_boxes_and_scores(adopt_and_run: Adopt) -> None:
    dets = np.array([[[4, 8, 40, 48, 0.9], [50, 10, 90, 60, 0.7], [0, 0, 1, 1, 0.01]]], np.float32)
    outputs = {
        "dets": dets,
        "labels": np.array([[2, 0, 1]], np.int64),
        "masks": np.full((1, 3, 28, 28), 0.9, np.float32),
    }
    model = constant_model(outputs, name="input")
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "num_dets"
    manifest, said, result = adopt_and_run(model, labels="coco")
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
    outputs["masks"][0, 0, 10:40, 8:30] = 1
    manifest, said, result = adopt_and_run(constant_model(outputs, name="input"), labels="coco")
    assert "masks lie in the whole picture" in said
    assert result.masks.sum() == 30 * 22


def test_paddleseg_is_normalised_its_own_way(adopt_and_run: Adopt) -> None:
    classes = np.full((1, HEIGHT, WIDTH), 3, np.int32)
    model = constant_model({"save_infer_model/scale_0.tmp_0": classes}, name="x", producer="PaddlePaddle")
    manifest, said, result = adopt_and_run(model, labels="cityscapes")
    assert manifest.technique == "semantic"
    spec = manifest.image_input
    assert (spec.scale, spec.mean, spec.std) == (1 / 255, (0.5,) * 3, (0.5,) * 3)
    assert any("PaddleSeg's usual normalisation" in line for line in said)
    assert (result.class_map == 3).all()


def test_optimum_s_sidecar_files_are_read(adopt_and_run: Adopt, tmp_path: Path) -> None:
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
    manifest, said, result = adopt_and_run(model, score_threshold=0.4)
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


def test_detr_s_padding_and_gapped_classes_come_from_its_files(adopt_and_run: Adopt, tmp_path: Path) -> None:
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
    manifest, _, _ = adopt_and_run(constant_model(outputs, name="pixel_values"))
    assert manifest.technique == "panoptic"
    assert manifest.decode == MergeQueries()
    assert [label.name for label in manifest.labels][1:4:2] == ["person", "car"]
    assert len(manifest.labels) == 7
    resize = manifest.image_input.resize
    assert (resize.rule, resize.shortest_edge, resize.pad_side) == ("shortest_edge", 48, "bottom_right")
    assert resize.pad == (124, 116, 104)
    assert {head.role: head.name for head in manifest.heads} == {"class_logits": "logits", "mask_logits": "pred_masks"}


def test_what_tensorrt_refuses_is_said(adopt_and_run: Adopt) -> None:
    table, prototypes = yolo_table(np.random.default_rng(6))
    model = constant_model({"output0": table[None], "output1": prototypes}, metadata())
    model.graph.node.append(helper.make_node("NonZero", ["constant_output0"], ["found"]))
    _, said, _ = adopt_and_run(model)
    assert "TensorRT has no kernel for NonZero: the network runs in ONNX Runtime alone" in said


def test_panoptic_deeplab_is_told_by_its_channels(adopt_and_run: Adopt) -> None:
    outputs = {
        "sem": np.zeros((1, 19, 16, 24), np.float32),
        "ctr": np.zeros((1, 1, 16, 24), np.float32),
        "off": np.zeros((1, 2, 16, 24), np.float32),
    }
    manifest, said, _ = adopt_and_run(
        constant_model(outputs), technique="panoptic", labels="cityscapes", score_threshold=0.2
    )
    assert manifest.decode == GroupCenters(0.2)
    assert {head.role: head.name for head in manifest.heads} == {
        "semantic_logits": "sem",
        "center_heatmap": "ctr",
        "offsets": "off",
    }
    assert "offsets guessed: y then x, in cells of the head's grid" in said
