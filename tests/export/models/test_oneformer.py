"""OneFormer: one network, a task chosen at export; without NonZero, so that TensorRT builds it."""

from pathlib import Path

import onnx
import torch
from harness import EVERY, check_export

from segrt.export.models.oneformer.build import OneFormerCore, task_tokens

BACKBONE = {"embed_dim": 32, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]}
SMALL = {"backbone_config": BACKBONE, "encoder_layers": 1, "decoder_layers": 3, "num_queries": 40}
SIZE = (160, 192)


@EVERY
def test_panoptic_results_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("oneformer-swin-tiny-ade-panoptic", tmp_path, photos, size=SIZE, overrides=SMALL)
    model = onnx.load(str(checked.bundle / "model.fp32.onnx"))
    assert "NonZero" not in {node.op_type for node in model.graph.node}


@EVERY
def test_semantic_results_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    name = "oneformer-swin-tiny-ade-semantic"
    check_export(name, tmp_path, photos, size=SIZE, overrides=SMALL, least_objects=1, engine=False)


@EVERY
def test_instances_are_those_of_transformers_by_the_rule_of_the_paper(tmp_path: Path, photos: Path) -> None:
    name = "oneformer-swin-tiny-ade-instance"
    check_export(name, tmp_path, photos, size=SIZE, overrides=SMALL, engine=False)


def test_the_core_computes_what_transformers_computes_for_each_task() -> None:
    from transformers import OneFormerConfig, OneFormerForUniversalSegmentation

    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = {"model_type": "swin", "out_features": stages} | BACKBONE
    fields = {**SMALL, "num_queries": 6, "backbone_config": backbone, "num_labels": 4}
    model = OneFormerForUniversalSegmentation(OneFormerConfig.from_dict(fields)).eval()
    pixels = torch.randn(2, 3, 64, 96)
    found = {}
    for technique in ("panoptic", "semantic"):
        task = task_tokens(technique, 77)  # type: ignore[arg-type]
        with torch.no_grad():
            class_logits, mask_logits = OneFormerCore(model, task)(pixels)
            wanted = model(pixel_values=pixels, task_inputs=task[None].expand(2, -1))
        torch.testing.assert_close(class_logits, wanted.class_queries_logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(mask_logits, wanted.masks_queries_logits, atol=1e-5, rtol=1e-5)
        found[technique] = class_logits
    assert not torch.allclose(found["panoptic"], found["semantic"])
    assert type(model.model.transformer_module.decoder.layers[0]).__name__ == "OneFormerTransformerDecoderLayer"
