"""DeepLabV3+ against segmentation_models_pytorch, and encoders' published state dicts."""

from pathlib import Path

import numpy as np
import pytest
from harness import EVERY, check_export

from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary

smp = pytest.importorskip("segmentation_models_pytorch")

from segrt.export.models.deeplabv3plus.build import build, load_encoder  # noqa: E402


def test_deeplabv3plus_equals_segmentation_models_pytorch(tmp_path: Path, photos: Path) -> None:
    checked = check_export("deeplabv3plus-mobilenet-v2", tmp_path, photos, size=(128, 160), least_objects=8)
    assert checked.manifest.heads[0].shape == (1, 21, 32, 40)
    assert checked.manifest.decode == Argmax(align_corners=True)
    assert checked.report.parity.agreement > 0.99


def test_one_class_is_cut_as_the_packages_binary_mode_does(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "one.txt").write_text("leaf\n")
    labels = str(tmp_path / "one.txt")
    checked = check_export("deeplabv3plus-mobilenet-v2", tmp_path, photos, size=(64, 96), labels=labels, engine=False)
    assert checked.manifest.decode == Binary(align_corners=True)
    assert checked.manifest.heads[0].shape == (1, 1, 16, 24)
    assert [label.name for label in checked.manifest.labels] == ["background", "leaf"]
    assert checked.report.parity.agreement > 0.98


@EVERY
@pytest.mark.slow
def test_xception65_equals_segmentation_models_pytorch(tmp_path: Path, photos: Path) -> None:
    checked = check_export("deeplabv3plus-xception65", tmp_path, photos, size=(96, 128), least_objects=8)
    assert checked.report.parity.agreement > 0.99


def test_the_core_is_the_network_before_its_last_step() -> None:
    import torch

    exportable = build(Request(find_model("deeplabv3plus-mobilenet-v2"), (64, 96), Weights("random")))
    network = smp.DeepLabV3Plus("mobilenet_v2", encoder_weights=None, classes=21).eval()
    core = exportable.core
    network.encoder, network.decoder, network.segmentation_head[0] = core.encoder, core.decoder, core.classifier
    pixels = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        enlarged = torch.nn.functional.interpolate(core(pixels), scale_factor=4, mode="bilinear", align_corners=True)
        torch.testing.assert_close(enlarged, network(pixels))


@pytest.mark.parametrize("encoder", ["tu-xception65", "tu-mobilenetv3_large_100"])
def test_timm_checkpoints_of_whole_networks_load_into_encoders(encoder: str) -> None:
    import timm
    import torch

    published = timm.create_model(encoder.removeprefix("tu-"), pretrained=False).state_dict()
    network = smp.DeepLabV3Plus(encoder, encoder_weights=None)
    load_encoder(network.encoder, published, "published")
    own = network.encoder.state_dict()
    loaded = sum(any(torch.equal(tensor, other) for other in published.values()) for tensor in list(own.values())[:40])
    assert loaded == 40
    assert len(own) <= len(published)


def test_pretrained_says_that_the_encoder_alone_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = find_model("deeplabv3plus-mobilenet-v2")
    assert model.checkpoint is not None
    assert model.checkpoint.covers == "encoder"
    encoder = smp.DeepLabV3Plus("mobilenet_v2", encoder_weights=None).encoder
    torch.manual_seed(5)
    state = {name: torch.rand_like(tensor.float()) + 0.5 for name, tensor in encoder.state_dict().items()}
    torch.save({**state, "classifier.1.weight": torch.zeros(3)}, tmp_path / "encoder.pth")
    monkeypatch.setattr(
        "segrt.export.weights.network_weights.checkpoint_file",
        lambda request: tmp_path / "encoder.pth",  # noqa: ARG005
    )
    exportable = build(Request(model, (64, 64), Weights("pretrained")))
    name, tensor = next(iter(exportable.core.encoder.state_dict().items()))
    np.testing.assert_array_equal(tensor.numpy(), state[name].numpy())
    assert "decoder and head are random" in exportable.source.notes
    assert exportable.source.licence == "BSD-3-Clause (torchvision's)"
    running = exportable.core.encoder.state_dict()["features.0.1.running_var"]
    np.testing.assert_array_equal(running.numpy(), state["features.0.1.running_var"].numpy())
