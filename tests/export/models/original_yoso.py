"""YOSO's neck and head as its authors wrote them, and those here, on the same weights.

    python tests/export/models/original_yoso.py REPO [--model yoso-resnet50-coco …]

REPO is a checkout of hujiecpp/YOSO, which is not fetched here, nor is detectron2 needed: the two files are loaded by
themselves, with torchvision's `deform_conv2d` for detectron2's layer. The backbone is segrt's. Random weights with
statistics are saved under the authors' names and loaded by the family's own `build`. Prints the largest differences of
features, class logits and mask logits in deviations of each, and exits with 1 unless all are at most 1e-4 of one. Both
compute in float64: one pixel that falls on the other side of a mask's edge changes what comes after it.
"""

import sys
import types
from pathlib import Path
from typing import Any

import torch
import torchvision
from authors_code import SIZE, agree, compare_models
from torch import nn

from segrt.export.convert.exporting import build
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.weights.random_weights import photo_like_pixels

CLASSES_AND_LAYERS = {"yoso-resnet50-coco": (133, 1), "yoso-resnet50-cityscapes": (19, 3)}
LEVELS = ("res2", "res3", "res4", "res5")


class ModulatedDeformConv(nn.Module):
    """detectron2's layer by torchvision's function."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int, **options: Any) -> None:  # noqa: ARG002
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel_size, kernel_size))
        self.padding = padding

    def forward(self, features: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return (N, outputs, h, w)."""
        return torchvision.ops.deform_conv2d(features, offset, self.weight, padding=self.padding, mask=mask)


class BatchNorm(nn.BatchNorm2d):
    """What SyncBatchNorm is outside training, on a CPU."""


def _module(name: str, **content: Any) -> None:
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)


def parts(repository: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the authors' files of neck and head define; their masks take the features' type."""
    nn.SyncBatchNorm = BatchNorm  # type: ignore[misc,assignment]
    for name in ("detectron2", "fvcore", "fvcore.nn", "timm", "timm.models"):
        _module(name)
    _module("detectron2.layers", DeformConv=ModulatedDeformConv, ModulatedDeformConv=ModulatedDeformConv)
    _module("fvcore.nn.weight_init", c2_msra_fill=lambda module: None)  # noqa: ARG005
    sys.modules["fvcore.nn"].weight_init = sys.modules["fvcore.nn.weight_init"]  # type: ignore[attr-defined]
    _module("timm.models.layers", trunc_normal_=nn.init.trunc_normal_)
    neck: dict[str, Any] = {"__name__": "neck"}
    head: dict[str, Any] = {"__name__": "head"}
    folder = repository / "projects/YOSO/yoso"
    exec((folder / "neck.py").read_text(), neck)
    exec((folder / "head.py").read_text().replace("nonzero_inds.float()", "nonzero_inds.to(features.dtype)"), head)
    return neck, head


def settings(classes: int, layers: int) -> Any:
    """Return the part of the authors' configuration that their modules read."""
    fields = {
        "IN_FEATURES": LEVELS, "HIDDEN_DIM": 256, "AGG_DIM": 128, "NUM_PROPOSALS": 100, "CONV_KERNEL_SIZE_2D": 1,
        "CONV_KERNEL_SIZE_1D": 3, "NUM_CLS_FCS": layers, "NUM_MASK_FCS": layers, "NUM_CLASSES": classes,
        "TEMPERATIRE": 0.05,
    }  # fmt: skip
    return types.SimpleNamespace(MODEL=types.SimpleNamespace(YOSO=types.SimpleNamespace(**fields)))


@torch.no_grad()
def compare(repository: Path, name: str, out: Path) -> bool:
    """Load the authors' weights here, compare the outputs, print; return whether they agree."""
    torch.manual_seed(1)
    neck, head = parts(repository)
    entry, given = find_model(name), settings(*CLASSES_AND_LAYERS[name])
    random = build(Request(entry, SIZE, Weights("random", seed=1))).core
    theirs = nn.Module()
    theirs.backbone = random.backbone
    shapes = {
        level: types.SimpleNamespace(channels=count)
        for level, count in zip(LEVELS, random.backbone.channels, strict=True)
    }
    theirs.yoso_neck = neck["YOSONeck"](cfg=given, backbone_shape=shapes)
    theirs.yoso_head = head["YOSOHead"](cfg=given, num_stages=2, criterion=None)
    theirs.load_state_dict({**theirs.state_dict(), **random.state_dict()})
    path = out / f"{name}.pth"
    torch.save({"model": theirs.state_dict()}, path)
    ours = build(Request(entry, SIZE, Weights("file", path))).core.double()
    theirs, pixels = theirs.eval().double(), photo_like_pixels(SIZE, seed=2).double()
    torch.set_default_dtype(torch.float64)  # of what both make of the size alone
    features = theirs.yoso_neck(list(theirs.backbone(pixels).values()))
    _, classes, masks = theirs.yoso_head(features, None)
    pairs = {"features": (features, ours.features(pixels))}
    pairs |= dict(zip(("classes", "masks"), zip((classes, masks), ours(pixels), strict=True), strict=True))
    torch.set_default_dtype(torch.float32)
    return agree(name, pairs)


if __name__ == "__main__":
    compare_models(__doc__, "hujiecpp/YOSO", "projects/YOSO/yoso", CLASSES_AND_LAYERS, compare)
