"""ECSeg's own network and the one here, on the same weights.

    python tests/export/models/original_ecseg.py REPO [--model ecseg-s …]

REPO is a checkout of Intellindust-AI-Lab/EdgeCrafter, which is not fetched here. Its network is made with all that it
has in training, its random weights are given statistics, saved as its training saves them and loaded by the family's
own `build`. Prints the largest differences of class and mask logits in deviations of each, and exits with 1 unless all
are at most 1e-4 of one. Both compute in float64: by rounding, cells of nearly equal score become queries in another
order.
"""

import sys
import types
from pathlib import Path
from typing import Any

import torch
from authors_code import SIZE, agree, compare_models, enter_bare
from torch import nn

from segrt.export.convert.exporting import build
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.ecseg.ec_sizes import configuration
from segrt.export.weights.random_weights import calibration_pixels

MODELS = ("ecseg-s", "ecseg-m", "ecseg-l", "ecseg-x")
DEPTHS = {2: 0.67, 3: 1.0}  # the authors' name for so many layers of a block
ZERO_AT_FIRST = ("bbox_head", "reg_conf", "sampling_offsets", "attention_weights", "gate.weight")


def original(repository: Path, size: str) -> Any:
    """Return the authors' network with a mask head; their registry and their training's helpers need not be there."""
    enter_bare(repository / "ecdetseg", ("engine", "engine.core", "engine.misc", "engine.edgecrafter"))
    sys.modules["engine.core"].register = lambda: lambda found: found  # type: ignore[attr-defined]
    sys.modules["engine.misc"].dist_utils = types.ModuleType("dist_utils")  # type: ignore[attr-defined]
    from engine.edgecrafter.decoder import ECTransformer  # the authors'
    from engine.edgecrafter.ecvit import ViTAdapter
    from engine.edgecrafter.hybrid_encoder import HybridEncoder

    config = configuration(size, 80, {})
    channels = [config.channels] * 3
    network = nn.Module()
    network.backbone = ViTAdapter(
        "ecseg", embed_dim=config.embedding, num_heads=config.heads, ffn_ratio=config.expansion,
        proj_dim=config.channels if config.projects_all else None, skip_load_backbone=True,
    )  # fmt: skip
    network.encoder = HybridEncoder(
        channels, hidden_dim=config.channels, depth_mult=DEPTHS[config.repeated], expansion=config.narrow,
        dim_feedforward=config.encoder_hidden, csp_type="csp2", fuse_op="sum",
    )  # fmt: skip
    network.decoder = ECTransformer(
        feat_channels=channels, hidden_dim=config.channels, num_layers=config.decoder_layers, num_points=[3, 6, 3],
        dim_feedforward=config.decoder_hidden, eval_spatial_size=list(SIZE), mask_downsample_ratio=4,
    )  # fmt: skip
    return network.eval()


@torch.no_grad()
def compare(repository: Path, model: str, out: Path) -> bool:
    """Load the authors' weights here, compare the outputs, print; return whether they agree."""
    torch.manual_seed(1)
    entry = find_model(model)
    theirs = original(repository, str(entry.options["size"]))
    random = build(Request(entry, SIZE, Weights("random", seed=1))).core.state_dict()
    theirs.load_state_dict({**theirs.state_dict(), **random})
    for name, parameter in theirs.named_parameters():
        if any(part in name for part in ZERO_AT_FIRST):  # all layers would agree
            parameter.add_(torch.randn_like(parameter) * 0.05)
    path = out / f"{model}.pth"
    torch.save({"model": {}, "ema": {"module": theirs.state_dict(), "updates": 1}}, path)
    ours = build(Request(entry, SIZE, Weights("file", path))).core.double()
    theirs, pixels = theirs.double(), calibration_pixels(SIZE, count=2, seed=1).double()
    torch.set_default_dtype(torch.float64)  # of what both make of the size alone
    maps = theirs.encoder(theirs.backbone(pixels))
    expected = theirs.decoder(maps, None, maps[0])
    found = dict(zip(("pred_logits", "pred_masks"), ours(pixels), strict=True))
    torch.set_default_dtype(torch.float32)
    return agree(model, {name: (expected[name], value) for name, value in found.items()})


if __name__ == "__main__":
    compare_models(__doc__, "Intellindust-AI-Lab/EdgeCrafter", "ecdetseg/engine/edgecrafter", MODELS, compare)
