"""DETR: the bundle's panoptic result is that of transformers' own model and post-processing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from detr_layout import in_the_authors_names
from harness import EVERY, check_export

from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.detr.build import CLASSES, DetrCore, build
from segrt.export.models.detr.few_queries import few_queries_at_once
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import PanopticResult

SMALL = {"backbone": "resnet18", "encoder_layers": 1, "decoder_layers": 2, "num_queries": 40}
SIZE = (160, 224)


@EVERY
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


@EVERY
def test_the_surest_queries_give_the_result_of_all(tmp_path: Path, photos: Path) -> None:
    checked = check_export(
        "detr-resnet50-panoptic", tmp_path, photos, size=SIZE, overrides=SMALL, top_queries=32, engine=False
    )
    assert [head.shape[1] for head in checked.manifest.heads] == [32, 32]
    assert checked.report.parity.agreement > 0.999, "the framework's result is that of all 40 queries"


def test_the_core_computes_what_transformers_computes_on_padded_pictures() -> None:
    from transformers import DetrConfig, DetrForSegmentation

    torch.manual_seed(0)
    config = DetrConfig(num_labels=7, backbone="resnet18", encoder_layers=1, decoder_layers=1, num_queries=12)
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
        DetrCore(model, top_queries=13)(pixels, mask)


def test_queries_in_portions_get_the_masks_that_they_get_all_at_once() -> None:
    from transformers import DetrConfig, DetrForSegmentation

    torch.manual_seed(1)
    config = DetrConfig(num_labels=7, backbone="resnet18", encoder_layers=1, decoder_layers=1, num_queries=12)
    model = DetrForSegmentation(config).eval()
    pixels, mask = torch.randn(1, 3, 96, 64), torch.ones(1, 96, 64, dtype=torch.bool)
    repeated: list[int] = []
    adapter = model.mask_head.fpn_stages[0].fpn_adapter
    with adapter.register_forward_pre_hook(lambda _, given: repeated.append(given[0].shape[0])), torch.no_grad():
        wanted = model(pixel_values=pixels, pixel_mask=mask).pred_masks
        assert repeated == [12], "transformers adapts a copy for each query"
        with few_queries_at_once(model.mask_head):
            found = model(pixel_values=pixels, pixel_mask=mask).pred_masks
            assert repeated[1] == 1, "once"
            with pytest.raises(ValueError, match="of one picture"):
                model(pixel_values=pixels.repeat(2, 1, 1, 1))
        again = model(pixel_values=pixels, pixel_mask=mask).pred_masks
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(again, wanted), "the model is as it was"


def test_the_authors_own_checkpoint_loads_and_is_merged_as_their_code_does(tmp_path: Path, photos: Path) -> None:
    request = Request(find_model("detr-resnet50-panoptic"), SIZE, Weights("random"), overrides=SMALL)
    state = build(request).core.model.state_dict()
    checkpoint = tmp_path / "detr-r50-panoptic.pth"
    torch.save({"model": in_the_authors_names(state), "epoch": 24}, checkpoint)
    checked = check_export(
        "detr-resnet50-panoptic",
        tmp_path,
        photos,
        size=SIZE,
        overrides=SMALL,
        weights=Weights("file", checkpoint),
        engine=False,
    )
    assert checked.manifest.decode == MergeQueries("detr", 0.85, compat=True)
    loaded = build(replace(request, weights=Weights("file", checkpoint))).core.model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_the_authors_checkpoint_of_boxes_alone_is_refused(tmp_path: Path) -> None:
    request = Request(find_model("detr-resnet50-panoptic"), SIZE, Weights("random"), overrides=SMALL)
    names = in_the_authors_names(build(request).core.model.state_dict())
    boxes = {name.removeprefix("detr."): tensor for name, tensor in names.items() if name.startswith("detr.")}
    checkpoint = tmp_path / "detr-r50.pth"
    torch.save({"model": boxes}, checkpoint)
    with pytest.raises(SegrtError, match=r"detr-r50.pth: is DETR for boxes alone, without its mask head; give"):
        build(replace(request, weights=Weights("file", checkpoint)))
