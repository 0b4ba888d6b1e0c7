"""ESPNetv2's encoder: pyramids of dilated depthwise convolutions, and the picture itself given to every level again.

Names of parameters are those of the authors' repositories (sacmehta/EdgeNets, and sacmehta/ESPNetv2 before it).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Channels of the four levels by the factor that the authors scale them with.
CHANNELS = {
    0.5: (16, 32, 64, 128),
    1.0: (32, 64, 128, 256),
    1.25: (32, 80, 160, 320),
    1.5: (32, 96, 192, 384),
    2.0: (32, 128, 256, 512),
}
_BRANCHES = 4
_REPEATED = (3, 7)  # blocks behind those that halve the resolution, at the third and at the fourth level


class ConvBNAct(nn.Module):
    """CBR: convolution, normalisation, PReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.PReLU(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / stride, w / stride)."""
        found: Tensor = self.act(self.bn(self.conv(features)))
        return found


class ConvBN(nn.Module):
    """CB: a 1x1 convolution and normalisation."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        found: Tensor = self.bn(self.conv(features))
        return found


class BNAct(nn.Module):
    """BR: normalisation and PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h, w)."""
        found: Tensor = self.act(self.bn(features))
        return found


class Dilated(nn.Module):
    """CDilated: a dilated 3x3 convolution of each channel by itself."""

    def __init__(self, channels: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h / stride, w / stride)."""
        found: Tensor = self.conv(features)
        return found


def dilations(largest_field: int) -> list[int]:
    """Return the dilations of the branches: fields of 3, 5, 7 and 9, those above `largest_field` 3 instead, sorted."""
    fields = [3 + 2 * branch for branch in range(_BRANCHES)]
    return sorted((field if field <= largest_field else 3) // 2 for field in fields)


class EESP(nn.Module):
    """Reduce, split, transform, merge: each branch adds what the branch of the smaller field has found.

    With `stride` 2 the block is a part of `DownSampler`, which adds the activation; its own stays unused, as in the
    published weights.
    """

    def __init__(self, inputs: int, outputs: int, largest_field: int, stride: int = 1) -> None:
        super().__init__()
        narrow = outputs // _BRANCHES
        self.stride = stride
        self.proj_1x1 = ConvBNAct(inputs, narrow, 1, groups=_BRANCHES)
        self.spp_dw = nn.ModuleList(Dilated(narrow, stride, dilation) for dilation in dilations(largest_field))
        self.conv_1x1_exp = ConvBN(outputs, outputs, groups=_BRANCHES)
        self.br_after_cat = BNAct(outputs)
        self.module_act = nn.PReLU(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / stride, w / stride)."""
        reduced = self.proj_1x1(features)
        found: list[Tensor] = []
        for branch in self.spp_dw:
            transformed = branch(reduced)
            found.append(transformed + found[-1] if found else transformed)
        merged: Tensor = self.conv_1x1_exp(self.br_after_cat(torch.cat(found, dim=1)))
        if self.stride == 2:
            return merged
        activated: Tensor = self.module_act(merged + features if merged.shape == features.shape else merged)
        return activated


class DownSampler(nn.Module):
    """Half the resolution: means and EESP concatenated, and the shrunken picture added."""

    def __init__(self, inputs: int, outputs: int, largest_field: int) -> None:
        super().__init__()
        self.eesp = EESP(inputs, outputs - inputs, largest_field, stride=2)
        self.inp_reinf = nn.Sequential(ConvBNAct(3, 3, 3), ConvBN(3, outputs))
        self.act = nn.PReLU(outputs)

    def forward(self, features: Tensor, picture: Tensor) -> Tensor:
        """Return (N, outputs, h / 2, w / 2) of `features` (N, inputs, h, w) and `picture` (N, 3, h / 2, w / 2)."""
        found = torch.cat([halved(features), self.eesp(features)], dim=1)
        activated: Tensor = self.act(found + self.inp_reinf(picture))
        return activated


class EESPNet(nn.Module):
    """Pixels to features at a half, a quarter, an eighth and a sixteenth of their resolution."""

    def __init__(self, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.level1 = ConvBNAct(3, channels[0], 3, 2)
        self.level2_0 = DownSampler(channels[0], channels[1], 13)
        self.level3_0 = DownSampler(channels[1], channels[2], 11)
        self.level3 = nn.ModuleList(EESP(channels[2], channels[2], 9) for _ in range(_REPEATED[0]))
        self.level4_0 = DownSampler(channels[2], channels[3], 9)
        self.level4 = nn.ModuleList(EESP(channels[3], channels[3], 7) for _ in range(_REPEATED[1]))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return the features of the four levels, the finest first."""
        picture = halved(halved(pixels))
        levels = [self.level1(pixels)]
        levels.append(self.level2_0(levels[0], picture))
        picture = halved(picture)
        features = self.level3_0(levels[1], picture)
        for block in self.level3:
            features = block(features)
        levels.append(features)
        features = self.level4_0(features, halved(picture))
        for block in self.level4:
            features = block(features)
        return [*levels, features]


def halved(features: Tensor) -> Tensor:
    """Return `features` (N, C, h, w) at half the resolution: means of 3x3, zeros outside counted."""
    return F.avg_pool2d(features, 3, stride=2, padding=1)
