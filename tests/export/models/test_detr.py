"""DETR: the bundle's panoptic result is that of transformers' own model and post-processing."""

from pathlib import Path

import pytest
import torch
from harness import check_export

from segrt.export.models.detr.build import CLASSES, DetrCore
from segrt.runtime.results import PanopticResult

SMALL = {"backbone": "resnet18", "encoder_layers": 1, "decoder_layers": 2, "num_queries": 40}
SIZE = (160, 224)


def test_the_small_network_exports_as_transformers_computes_it(tmp_path: Path, photos: Path) -> None:
    checked = check_export("detr-resnet50-panoptic", tmp_path, photos, size=SIZE, overrides=SMALL)
    labels = checked.manifest.labels
    assert len(labels) == CLASSES
    assert labels[1].name == "person"
    assert labels[200].name == "rug-merged"
    assert all(label.dataset_id == index for index, label in enumerate(labels))
    assert [spec.role for spec in checked.manifest.inputs] == ["image", "valid_mask"]
    for result in checked.results:
        assert isinstance(result, PanopticResult)
        assert not any(labels[segment.class_id].name.startswith("unused") for segment in result.segments)


def test_the_surest_queries_give_the_result_of_all(tmp_path: Path, photos: Path) -> None:
    checked = check_export(
        "detr-resnet50-panoptic", tmp_path, photos, size=SIZE, overrides=SMALL, top_queries=32, engine=False
    )
    assert [head.shape[1] for head in checked.manifest.heads] == [32, 32]
    assert checked.report.parity.agreement > 0.999, "the framework's result is that of all 40 queries"


def test_the_core_computes_what_transformers_computes_on_padded_pictures() -> None:
    from transformers import DetrConfig, DetrForSegmentation

    torch.manual_seed(0)
    config = DetrConfig(num_labels=7, backbone="resnet18", encoder_layers=1, decoder_layers=1, num_queries=5)
    model = DetrForSegmentation(config).eval()
    pixels = torch.randn(2, 3, 64, 96)
    mask = torch.ones(2, 64, 96, dtype=torch.bool)
    mask[1, 40:] = False
    mask[1, :, 70:] = False
    with torch.no_grad():
        class_logits, mask_logits = DetrCore(model)(pixels, mask)
        wanted = model(pixel_values=pixels, pixel_mask=mask)
    torch.testing.assert_close(class_logits, wanted.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mask_logits, wanted.pred_masks, atol=1e-4, rtol=1e-4)
    assert not torch.equal(wanted.pred_masks[0], wanted.pred_masks[1])
    with pytest.raises(RuntimeError):
        DetrCore(model, top_queries=6)(pixels, mask)
