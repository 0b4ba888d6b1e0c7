"""UPerNet against transformers, which enlarges its logits twice."""

from pathlib import Path
from typing import Any

import pytest
from harness import EVERY, check_export

from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.upernet.build import build

SMALL = {"hidden_size": 64, "auxiliary_channels": 16}
CONVNEXT = {**SMALL, "backbone_config": {"depths": (1, 1, 1, 1), "hidden_sizes": (32, 64, 96, 128)}}
SWIN = {**SMALL, "backbone_config": {"depths": (1, 2, 1, 1), "embed_dim": 48}}


def test_upernet_over_convnext_equals_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export(
        "upernet-convnext-tiny",
        tmp_path,
        photos,
        size=(128, 160),
        overrides={**CONVNEXT, "auxiliary_in_channels": 96},
        least_objects=20,
    )
    assert checked.manifest.heads[0].shape == (1, 150, 32, 40), "a quarter of the size, before it is enlarged"


@EVERY
@pytest.mark.slow
def test_upernet_over_swin_equals_transformers(tmp_path: Path, photos: Path) -> None:
    overrides = {**SWIN, "auxiliary_in_channels": 192}
    checked = check_export("upernet-swin-tiny", tmp_path, photos, size=(128, 160), overrides=overrides)
    assert checked.manifest.heads[0].shape == (1, 150, 32, 40)


@pytest.mark.parametrize(("name", "overrides"), [("convnext-tiny", CONVNEXT), ("swin-tiny", SWIN)])
def test_the_core_is_transformers_network_before_its_last_step(name: str, overrides: dict[str, Any]) -> None:
    import torch

    channels = 96 if name == "convnext-tiny" else 192
    request = Request(
        find_model(f"upernet-{name}"),
        (64, 96),
        Weights("random"),
        overrides={**overrides, "auxiliary_in_channels": channels},
    )
    core = build(request).core
    pixels = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        logits = core(pixels)
        whole = core.network(pixels).logits
    assert logits.shape == (2, 150, 16, 24)
    enlarged = torch.nn.functional.interpolate(logits, (64, 96), mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarged, whole)
