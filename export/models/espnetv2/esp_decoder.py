"""ESPNetv2 for segmentation: decoder steps of efficient pyramid pooling, with the encoder's features added in between.

Names of parameters are those of sacmehta/EdgeNets, whose weights are the published ones.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segrt.export.models.espnetv2.eesp_network import CHANNELS, EESPNet
from segrt.export.models.shared.adaptive_pooling import adaptive_average
from segrt.export.models.shared.corner_alignment import aligned

_SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)
_LEAST_SIDE = 5
_BASE = 16


@dataclass(frozen=True)
class ESPNetv2Options:
    """`scale`: what the authors multiply the encoder's channels with, one of `CHANNELS`."""

    classes: int
    scale: float = 2.0


def normalised_prelu(channels: int) -> list[nn.Module]:
    """Return normalisation and PReLU."""
    return [nn.BatchNorm2d(channels), nn.PReLU(channels)]


class Wrapped(nn.Module):
    """Layers in a row under the name that EdgeNets gives them: `cbr` with a convolution, `br` without."""

    def __init__(self, name: str, layers: list[nn.Module]) -> None:
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))

    def forward(self, features: Tensor) -> Tensor:
        """Return what the layers make of `features`."""
        for layers in self.children():
            features = layers(features)
        return features


def convolved(inputs: int, outputs: int, size: int, groups: int = 1) -> Wrapped:
    """Return convolution, normalisation and PReLU."""
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)
    return Wrapped("cbr", [convolution, *normalised_prelu(outputs)])


class Shuffle(nn.Module):
    """Channels in another order: the first of each group, then the second of each."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` (N, C, h, w) with its channels shuffled."""
        pictures, channels, height, width = features.shape
        grouped = features.reshape(pictures, self.groups, channels // self.groups, height, width)
        return grouped.transpose(1, 2).flatten(1, 2)


class PyramidPool(nn.Module):
    """EfficientPyrPool: a depthwise convolution at each of five scales of the map, finer and coarser ones."""

    def __init__(self, inputs: int, narrow: int, outputs: int, *, last: bool = False) -> None:
        super().__init__()
        count = len(_SCALES)
        self.projection_layer = convolved(inputs, narrow, 1)
        self.stages = nn.ModuleList(nn.Conv2d(narrow, narrow, 3, padding=1, groups=narrow, bias=False) for _ in _SCALES)
        self.merge_layer = nn.Sequential(
            Wrapped("br", normalised_prelu(narrow * count)),
            Shuffle(count),
            convolved(narrow * count, narrow, 3, groups=narrow),
            nn.Conv2d(narrow, outputs, 1, bias=last),
        )
        self.br = None if last else Wrapped("br", normalised_prelu(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        narrow = self.projection_layer(features)
        size = (int(narrow.shape[2]), int(narrow.shape[3]))
        found = [_at_scale(narrow, stage, scale, size) for stage, scale in zip(self.stages, _SCALES, strict=True)]
        merged: Tensor = self.merge_layer(torch.cat(found, dim=1))
        return merged if self.br is None else self.br(merged)


def _at_scale(features: Tensor, stage: nn.Module, scale: float, size: tuple[int, int]) -> Tensor:
    """Return `features` brought to `scale`, convolved there by `stage`, and brought back to `size`."""
    scaled = (max(math.ceil(size[0] * scale), _LEAST_SIDE), max(math.ceil(size[1] * scale), _LEAST_SIDE))
    found: Tensor
    if scale < 1:
        found = stage(adaptive_average(features, scaled))
        return aligned(found, size)
    if scale > 1:
        return adaptive_average(stage(aligned(features, scaled)), size)
    found = stage(features)
    return found


class Merge(nn.Module):
    """EfficientPWConv: a grouped convolution, each channel weighed by what the whole picture has on average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        weights = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.wt_layer = nn.Sequential(nn.AdaptiveAvgPool2d(1), weights, nn.Sigmoid())
        self.expansion_layer = convolved(inputs, outputs, 3, groups=math.gcd(inputs, outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        weighed: Tensor = self.expansion_layer(features) * self.wt_layer(features)
        return weighed


class ESPNetv2(nn.Module):
    """Pixels (N, 3, h, w), both sides multiples of 16, to class logits (N, C, h / 2, w / 2)."""

    def __init__(self, options: ESPNetv2Options) -> None:
        super().__init__()
        channels, classes = CHANNELS[options.scale], options.classes
        planes = (4 * _BASE, 3 * _BASE, 2 * _BASE, classes)
        narrow = min(classes // 2, _BASE)
        self.base_net = EESPNet(channels)
        for step, inputs in enumerate((channels[3], *planes[:3]), start=1):
            pool = PyramidPool(inputs, narrow, planes[step - 1], last=step == 4)
            self.add_module(f"bu_dec_l{step}", pool)
        for step, inputs in enumerate((channels[2], channels[1], channels[0]), start=2):
            self.add_module(f"merge_enc_dec_l{step}", Merge(inputs, planes[step - 2]))
            self.add_module(f"bu_br_l{step}", nn.Sequential(*normalised_prelu(planes[step - 2])))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits, which the authors enlarge to the picture's size with aligned corners."""
        *finer, coarsest = self.base_net(pixels)
        features: Tensor = self.get_submodule("bu_dec_l1")(coarsest)
        for step, beside in enumerate(reversed(finer), start=2):
            enlarged = aligned(features, (features.shape[2] * 2, features.shape[3] * 2))
            merged = self.get_submodule(f"merge_enc_dec_l{step}")(beside) + enlarged
            features = self.get_submodule(f"bu_dec_l{step}")(self.get_submodule(f"bu_br_l{step}")(merged))
        return features
