"""D-FINE-seg's own network and the one here, on the same weights.

    python tests/export/models/original_dfine_seg.py REPO [--model dfine-seg-n …]

REPO is a checkout of ArgoHA/D-FINE-seg, which is not fetched here. Its network is made with all that it has in
training, its random weights are given statistics, saved as its training saves them and loaded by the family's own
`build`. Prints the largest differences of class logits, boxes and mask probabilities in deviations of each, and exits
with 1 unless all are at most 1e-4 of one. Both compute in float64: random decoders let rounding grow a thousandfold.
"""

import copy
import sys
import types
from pathlib import Path
from typing import Any

import torch
from authors_code import SIZE, agree, compare_models, enter_bare

from segrt.export.convert.exporting import build
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.dfine_seg.dfine_names import our_name
from segrt.export.weights.random_weights import calibration_pixels

MODELS = ("dfine-seg-n", "dfine-seg-s", "dfine-seg-m", "dfine-seg-l", "dfine-seg-x")


def original(repository: Path, size: str) -> Any:
    """Return the authors' network with a mask head; their logger need not be installed."""
    logger = types.ModuleType("loguru")
    logger.logger = types.SimpleNamespace(error=print, info=print, warning=print)  # type: ignore[attr-defined]
    sys.modules.setdefault("loguru", logger)
    enter_bare(repository, ("src", "src.d_fine", "src.d_fine.arch"))
    from src.d_fine.arch.dfine_decoder import DFINETransformer  # the authors'
    from src.d_fine.arch.hgnetv2 import HGNetv2
    from src.d_fine.arch.hybrid_encoder import HybridEncoder
    from src.d_fine.configs import models

    config = copy.deepcopy(models[size])
    config["HybridEncoder"]["eval_spatial_size"] = list(SIZE)
    config["DFINETransformer"] |= {"eval_spatial_size": list(SIZE), "enable_mask_head": True}
    network = torch.nn.Module()
    network.backbone = HGNetv2(**config["HGNetv2"])
    network.encoder = HybridEncoder(**config["HybridEncoder"])
    network.decoder = DFINETransformer(num_classes=80, **config["DFINETransformer"])
    return network.eval()


def take_statistics(network: Any, ours: dict[str, torch.Tensor]) -> None:
    """Copy into their random network what ours has that makes results vary: running statistics and calibrated heads."""
    for name, tensor in network.state_dict().items():
        other = ours.get(our_name(name))
        if other is not None and other.shape == tensor.shape:
            tensor.copy_(other)


def compare(repository: Path, model: str, out: Path) -> bool:
    """Load the authors' weights here, compare the outputs, print; return whether they agree."""
    torch.manual_seed(1)
    entry = find_model(model)
    theirs = original(repository, str(entry.options["size"]))
    request = Request(entry, SIZE, Weights("random", seed=1), overrides={"num_queries": 100})
    theirs.decoder.num_queries = 100
    with torch.no_grad():
        take_statistics(theirs, build(request).core.network.state_dict())
        # Heads that are zero at first would let every layer agree.
        for name, parameter in theirs.named_parameters():
            if "bbox_head" in name or "reg_conf" in name or "sampling_offsets" in name or "gate.weight" in name:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    path = out / f"{model}.pth"
    torch.save(theirs.state_dict(), path)
    ours = build(Request(entry, SIZE, Weights("file", path), overrides={"num_queries": 100})).core.network
    pixels = calibration_pixels(SIZE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), count=2, seed=1).double()
    theirs, ours = theirs.double(), ours.double()
    with torch.no_grad():
        expected = theirs.decoder(theirs.encoder(theirs.backbone(pixels)))
        logits, boxes, weights, features = ours(pixels)
        masks = torch.sigmoid(torch.einsum("nqe,nehw->nqhw", weights, features))
    found = {"pred_logits": logits, "pred_boxes": boxes, "pred_masks": masks}
    spread = float(expected["pred_logits"].std()), float(expected["pred_boxes"].std()), float(masks.std())
    remark = f"  (deviations {spread[0]:.2f}, {spread[1]:.2f}, {spread[2]:.2f})"
    return agree(model, {name: (expected[name], value) for name, value in found.items()}, remark)


if __name__ == "__main__":
    compare_models(__doc__, "ArgoHA/D-FINE-seg", "src/d_fine/arch", MODELS, compare)
