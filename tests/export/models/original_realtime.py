"""The authors' own real-time networks and those written here, on the same weights.

    python tests/export/models/original_realtime.py --pidnet DIR --ddrnet DIR --bisenet DIR --fast-scnn DIR \
        --edgenets DIR

The folders are checkouts of XuJiacong/PIDNet, ydhongHIT/DDRNet, CoinCheung/BiSeNet, Tramac/Fast-SCNN-pytorch and
sacmehta/EdgeNets, which are not fetched here; networks whose folder is not given are left out. Each authors' network is
made with all that it has in training, its random weights are given statistics, saved as its checkpoints are and loaded
by the family's own `build`. Prints the largest difference of the logits, and exits with 1 unless each is at most 1e-4
of the logits' deviation.
"""

import argparse
import importlib
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from authors_code import MOST, SIZE, enter_bare
from torch import nn

from segrt.export.convert.exporting import build
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.weights.random_weights import calibrate, calibration_pixels


def pidnet(folder: Path, name: str) -> nn.Module:
    """Return the authors' PIDNet."""
    module = imported(folder, "models.pidnet")
    sizes = {
        "pidnet-s": {"m": 2, "n": 3, "planes": 32, "ppm_planes": 96, "head_planes": 128},
        "pidnet-m": {"m": 2, "n": 3, "planes": 64, "ppm_planes": 96, "head_planes": 128},
        "pidnet-l": {"m": 3, "n": 4, "planes": 64, "ppm_planes": 112, "head_planes": 256},
    }
    network: nn.Module = module.PIDNet(num_classes=19, augment=True, **sizes[name])
    return network


def ddrnet(folder: Path, name: str) -> nn.Module:
    """Return the authors' DDRNet."""
    slim = name.endswith("slim")
    module = imported(folder / "segmentation", "DDRNet_23_slim" if slim else "DDRNet_23")
    planes, head = (32, 64) if slim else (64, 128)
    network: nn.Module = module.DualResNet(
        module.BasicBlock, [2, 2, 2, 2], num_classes=19, planes=planes, spp_planes=128, head_planes=head, augment=True
    )
    return network


def bisenetv2(folder: Path, name: str) -> nn.Module:
    """Return CoinCheung's BiSeNetV2, without fetching its encoder's weights."""
    module = imported(folder, "lib.models.bisenetv2", bare=("lib", "lib.models"))
    module.BiSeNetV2.load_pretrain = lambda self: None  # noqa: ARG005
    network: nn.Module = module.BiSeNetV2(150 if name.endswith("ade20k") else 19)
    return network


def fast_scnn(folder: Path, name: str) -> nn.Module:  # noqa: ARG001
    """Return Tramac's Fast-SCNN."""
    network: nn.Module = imported(folder, "models.fast_scnn", bare=("models",)).FastSCNN(19, aux=True)
    return network


def espnetv2(folder: Path, name: str) -> nn.Module:
    """Return the authors' ESPNetv2 for segmentation."""
    module = imported(folder, "model.segmentation.espnetv2")
    arguments = types.SimpleNamespace(s=float(name.rpartition("s")[2]), channels=3)
    network: nn.Module = module.ESPNetv2Segmentation(arguments, classes=20, dataset="city")
    return network


# What makes an authors' network, the prefix of its names in checkpoints, and which of its outputs the logits are.
FAMILIES: dict[str, tuple[Callable[[Path, str], nn.Module], str, int]] = {
    "pidnet": (pidnet, "model.", 1),
    "ddrnet": (ddrnet, "model.", 0),
    "bisenetv2": (bisenetv2, "", 0),
    "fast_scnn": (fast_scnn, "module.", 0),
    "espnetv2": (espnetv2, "", -1),
}


def imported(folder: Path, name: str, bare: tuple[str, ...] = ()) -> Any:
    """Return a module of a checkout; packages in `bare` are entered without what their `__init__` imports."""
    for known in [known for known in sys.modules if known.partition(".")[0] == name.partition(".")[0]]:
        del sys.modules[known]
    enter_bare(folder, bare)
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))
    return importlib.import_module(name)


def compare(folder: Path, model: str, family: str, out: Path) -> bool:
    """Load the authors' random weights here, compare the logits, print; return whether they agree."""
    make, prefix, output = FAMILIES[family]
    torch.manual_seed(1)
    theirs = make(folder, model).eval()
    pixels = calibration_pixels(SIZE, count=2, seed=1)
    calibrate(theirs, lambda: theirs(pixels))
    path = out / f"{model}.pth"
    losses = {"loss.criterion.weight": torch.ones(19)} if prefix == "model." else {}
    torch.save({**{prefix + name: tensor for name, tensor in theirs.state_dict().items()}, **losses}, path)
    exportable = build(Request(find_model(model), SIZE, Weights("file", path)))
    with torch.no_grad():
        expected = theirs(pixels)
        expected = expected if output < 0 else expected[output]
        found = exportable.core(pixels)
        if expected.shape != found.shape:
            corners = exportable.decode.align_corners  # type: ignore[attr-defined]
            found = nn.functional.interpolate(found, expected.shape[2:], mode="bilinear", align_corners=corners)
    difference = float((expected - found).abs().max() / expected.std())
    same = float((expected.argmax(1) == found.argmax(1)).float().mean())
    print(f"{model:24}{difference:10.1e} of a deviation{same:12.4%} of pixels", flush=True)
    return difference <= MOST


def main() -> None:
    """Compare the families whose checkouts were given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("pidnet", "ddrnet", "bisenet", "fast-scnn", "edgenets"):
        parser.add_argument(f"--{option}", type=Path)
    given = parser.parse_args()
    folders = {
        "pidnet": (given.pidnet, ("pidnet-s", "pidnet-m", "pidnet-l")),
        "ddrnet": (given.ddrnet, ("ddrnet-23-slim", "ddrnet-23")),
        "bisenetv2": (given.bisenet, ("bisenetv2-cityscapes", "bisenetv2-ade20k")),
        "fast_scnn": (given.fast_scnn, ("fast-scnn",)),
        "espnetv2": (given.edgenets, ("espnetv2-s0.5", "espnetv2-s1", "espnetv2-s1.5", "espnetv2-s2")),
    }
    good = True
    with tempfile.TemporaryDirectory(prefix="realtime-") as out:
        for family, (folder, models) in folders.items():
            if folder is None or not folder.is_dir():
                print(f"{family}: no checkout was given; nothing is compared")
                continue
            for model in models:
                good = compare(folder, model, family, Path(out)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
