"""SegFormer against transformers, and the names of NVIDIA's published state dicts."""

from pathlib import Path

import pytest
from harness import check_export

from segrt.export.convert.exporting import build
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import SemanticResult

SHALLOW = {"depths": (1, 1, 1, 1)}
# One of each kind, with its shape in B0.
PUBLISHED = {
    "segformer.encoder.patch_embeddings.0.proj.weight": (32, 3, 7, 7),
    "segformer.encoder.patch_embeddings.3.layer_norm.weight": (256,),
    "segformer.encoder.block.0.0.attention.self.query.weight": (32, 32),
    "segformer.encoder.block.0.0.attention.self.sr.weight": (32, 32, 8, 8),
    "segformer.encoder.block.1.0.attention.output.dense.bias": (64,),
    "segformer.encoder.block.2.0.mlp.dwconv.dwconv.weight": (640, 1, 3, 3),
    "segformer.encoder.block.3.0.layer_norm_1.weight": (256,),
    "segformer.encoder.layer_norm.3.bias": (256,),
    "decode_head.linear_c.2.proj.weight": (256, 160),
    "decode_head.linear_fuse.weight": (256, 1024, 1, 1),
    "decode_head.batch_norm.running_mean": (256,),
    "decode_head.classifier.weight": (150, 256, 1, 1),
}


def test_segformer_equals_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("segformer-b0-ade", tmp_path, photos, size=(128, 160), overrides=SHALLOW, least_objects=20)
    assert checked.manifest.heads[0].shape == (1, 150, 32, 40)
    assert [label.name for label in checked.manifest.labels][:3] == ["wall", "building", "sky"]
    assert checked.manifest.image_input.resize.antialias
    assert checked.report.parity.agreement > 0.9999
    assert all(isinstance(result, SemanticResult) for result in checked.results)


def test_published_names_load_and_foreign_ones_are_listed(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    model = find_model("segformer-b0-ade")
    request = Request(model, (64, 64), Weights("random", seed=3), overrides=SHALLOW)
    original = build(request).core.network
    original.save_pretrained(tmp_path / "published")
    path = tmp_path / "published" / "model.safetensors"
    saved = load_file(path)
    assert {name: tuple(saved[name].shape) for name in PUBLISHED if name in saved} == PUBLISHED
    loaded = build(Request(model, (64, 64), Weights("file", path), overrides=SHALLOW)).core.network
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded(pixels).logits, original(pixels).logits, rtol=0, atol=0)
    del saved["decode_head.classifier.weight"]
    save_file({**saved, "head.weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(SegrtError, match=r"1 missing \(decode_head\.classifier\.weight\).*1 unexpected"):
        build(Request(model, (64, 64), Weights("file", tmp_path / "foreign.safetensors"), overrides=SHALLOW))
