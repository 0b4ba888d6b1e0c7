"""RF-DETR-Seg against transformers, and the names of the rfdetr package's checkpoints."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import EVERY, check_export

from segrt.export.convert.exporting import build
from segrt.export.family import IMAGENET_MEAN, IMAGENET_STD, Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.rfdetr import MODELS
from segrt.export.models.rfdetr.build import unsmoothed
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import InstanceResult, Label

SHALLOW: dict[str, Any] = {
    "decoder_layers": 1,
    "num_queries": 40,
    "d_model": 64,
    "decoder_ffn_dim": 128,
    "backbone_config": {
        "hidden_size": 48,
        "num_attention_heads": 2,
        "num_hidden_layers": 4,
        "image_size": 96,
        "out_features": ["stage2", "stage4"],
    },
}
# One of each kind that the rfdetr package writes and transformers names otherwise.
PUBLISHED = (
    "backbone.0.encoder.encoder.embeddings.position_embeddings",
    "backbone.0.encoder.encoder.encoder.layer.0.attention.attention.query.weight",
    "backbone.0.projector.stages.0.0.cv1.bn.weight",
    "transformer.decoder.layers.0.self_attn.in_proj_weight",
    "transformer.decoder.layers.0.linear1.weight",
    "transformer.enc_output_norm.12.weight",
    "refpoint_embed.weight",
    "query_feat.weight",
    "class_embed.bias",
    "segmentation_head.blocks.0.dwconv.weight",
    "segmentation_head.query_features_block.norm_in.weight",
    "segmentation_head.bias",
)


def test_rfdetr_equals_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("rfdetr-seg-small", tmp_path, photos, size=(96, 96), overrides=SHALLOW, least_objects=3)
    heads = {head.role: head.shape for head in checked.manifest.heads}
    assert heads == {"class_logits": (1, 40, 91), "mask_logits": (1, 40, 24, 24)}
    assert checked.report.parity.agreement > 0.999
    for result in checked.results:
        assert isinstance(result, InstanceResult)
        assert len({int(class_id) for class_id in result.class_ids}) > 1
        assert not any(result.labels[class_id].name.startswith("unused") for class_id in result.class_ids)


@EVERY
@pytest.mark.slow
def test_other_sizes_and_chosen_queries(tmp_path: Path, photos: Path) -> None:
    checked = check_export(
        "rfdetr-seg-small", tmp_path, photos, size=(144, 144), overrides=SHALLOW, top_queries=30, least_objects=2
    )
    assert {head.shape[1] for head in checked.manifest.heads} == {30}


def test_positions_for_another_size_are_those_of_the_network() -> None:
    import torch

    model = find_model("rfdetr-seg-small")
    exportable = build(Request(model, (144, 144), Weights("random"), overrides=SHALLOW))
    pixels = torch.rand(1, 3, 144, 144)
    core = exportable.core
    positions = core.model.model.model.backbone.backbone.embeddings.position_embeddings
    assert positions.shape[1] == 12 * 12 + 1
    twin = build(Request(model, (96, 96), Weights("random"), overrides=SHALLOW)).core.model
    twin_state = {name: tensor for name, tensor in core.model.state_dict().items() if "position_emb" not in name}
    twin.load_state_dict(twin_state, strict=False)
    with torch.no_grad():
        class_logits, mask_logits = core(pixels)
        outputs = twin(pixel_values=pixels)
    torch.testing.assert_close(class_logits, outputs.logits)
    torch.testing.assert_close(mask_logits, outputs.pred_masks)


@pytest.mark.parametrize("size", [(96, 120), (100, 100)])
def test_sizes_that_do_not_fit_name_the_next(size: tuple[int, int]) -> None:
    with pytest.raises(SegrtError, match=r"squares of a multiple of 24; the next are .*120x120"):
        build(Request(find_model("rfdetr-seg-small"), size, Weights("random"), overrides=SHALLOW))


def test_every_published_size_is_listed() -> None:
    # (resolution, windows, layers of the decoder, queries) of the rfdetr package's RFDETRSeg…Config.
    listed = {
        model.name.removeprefix("rfdetr-seg-"): (
            model.size[0],
            model.options["backbone_config"]["num_windows"],
            model.options["decoder_layers"],
            model.options["num_queries"],
        )
        for model in MODELS
    }
    assert listed == {
        "nano": (312, 1, 4, 100),
        "small": (384, 2, 4, 100),
        "medium": (432, 2, 5, 200),
        "large": (504, 2, 5, 300),
        "xlarge": (624, 2, 6, 300),
        "2xlarge": (768, 2, 6, 300),
        "preview": (432, 2, 4, 200),
    }


def test_checkpoints_of_the_rfdetr_package_load(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    model = find_model("rfdetr-seg-small")
    original = build(Request(model, (96, 96), Weights("random", seed=2), overrides=SHALLOW)).core.model
    original.save_pretrained(tmp_path / "saved")
    state = load_file(tmp_path / "saved" / "model.safetensors")
    assert set(PUBLISHED) <= set(state)
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": state, "args": argparse.Namespace(num_classes=90)}, path)
    # The number of queries is the checkpoint's own.
    fewer = {**SHALLOW, "num_queries": 7}
    loaded = build(Request(model, (96, 96), Weights("file", path), overrides=fewer)).core
    pixels = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        outputs = original(pixel_values=pixels)
        class_logits, mask_logits = loaded(pixels)
    torch.testing.assert_close(class_logits, outputs.logits)
    torch.testing.assert_close(mask_logits, outputs.pred_masks)
    labels = tuple(Label(f"part {index}", index, True, (9, 9, 9)) for index in range(90))
    named = build(Request(model, (96, 96), Weights("file", path), labels=labels, overrides=SHALLOW))
    assert [label.name for label in named.labels][-2:] == ["part 89", "unused 90"]


def test_pictures_are_not_smoothed_whatever_transformers_does() -> None:
    import torch

    class Smooths:
        def resize(self, image: Any, size: int, antialias: bool = True) -> tuple[Any, int, bool]:
            return image, size, antialias

    assert unsmoothed(Smooths).resize(3, size=4) == (3, 4, False)
    assert unsmoothed(Smooths).resize(3, size=4, antialias=True) == (3, 4, False)
    from transformers import RfDetrImageProcessor

    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8))
    size = {"height": 24, "width": 24}
    pixels = unsmoothed(RfDetrImageProcessor)(images=[picture], size=size, do_pad=False, return_tensors="pt")
    wanted = torch.nn.functional.interpolate(picture[None] / 255, (24, 24), mode="bilinear", antialias=False)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(pixels["pixel_values"], (wanted - mean) / std, rtol=0, atol=1e-5)
