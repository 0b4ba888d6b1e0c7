"""What DDRNet and PIDNet have in common: residual blocks, pyramid pooling of the coarsest map, and the head.

Names of parameters are those of the authors' repositories (ydhongHIT/DDRNet, XuJiacong/PIDNet).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `relu` says whether the sum passes one."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int, *, relu: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(inputs, channels * self.expansion, stride)
        self.relu = relu

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h / stride, w / stride)."""
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(features)))))
        total: Tensor = inner + (features if self.downsample is None else self.downsample(features))
        return F.relu(total) if self.relu else total


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution beside a shortcut; twice as many channels come out."""

    expansion = 2

    def __init__(self, inputs: int, channels: int, stride: int, *, relu: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.downsample = shortcut(inputs, channels * self.expansion, stride)
        self.relu = relu

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, 2 * channels, h / stride, w / stride)."""
        inner = F.relu(self.bn1(self.conv1(features)))
        inner = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(inner)))))
        total: Tensor = inner + (features if self.downsample is None else self.downsample(features))
        return F.relu(total) if self.relu else total


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Return what brings a block's input to the shape of its output, None where it has that already."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


def basic_stage(inputs: int, channels: int, count: int, stride: int = 1) -> nn.Sequential:
    """Return `count` basic blocks, all but the last with a ReLU behind them."""
    return nn.Sequential(
        *(
            BasicBlock(
                inputs if index == 0 else channels, channels, stride if index == 0 else 1, relu=index < count - 1
            )
            for index in range(count)
        )
    )


def bottleneck_stage(inputs: int, channels: int, count: int, stride: int = 1) -> nn.Sequential:
    """Return `count` bottlenecks without a ReLU behind the first and the last."""
    return nn.Sequential(
        *(
            Bottleneck(
                inputs if index == 0 else channels * Bottleneck.expansion,
                channels,
                stride if index == 0 else 1,
                relu=0 < index < count - 1,
            )
            for index in range(count)
        )
    )


def stem(channels: int) -> nn.Sequential:
    """Return two convolutions that bring pixels to a quarter of their resolution."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def normalised(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution and its normalisation."""
    return [
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def activated_first(inputs: int, outputs: int, size: int, groups: int = 1) -> list[nn.Module]:
    """Return normalisation, ReLU and then the convolution."""
    return [
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False),
    ]


class PyramidScales(nn.Module):
    """The coarsest map at four coarser scales and at its own: what both pyramid poolings begin and end with."""

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__()
        pools = [nn.AvgPool2d(5, 2, 2), nn.AvgPool2d(9, 4, 4), nn.AvgPool2d(17, 8, 8), nn.AdaptiveAvgPool2d(1)]
        for scale, pool in enumerate(pools, start=1):
            self.add_module(f"scale{scale}", nn.Sequential(pool, *activated_first(inputs, branch, 1)))
        self.scale0 = nn.Sequential(*activated_first(inputs, branch, 1))
        self.compression = nn.Sequential(*activated_first(branch * 5, outputs, 1))
        self.shortcut = nn.Sequential(*activated_first(inputs, outputs, 1))

    def enlarged(self, features: Tensor) -> list[Tensor]:
        """Return what the four coarser scales give, at the size of `features`."""
        scales = (self.get_submodule(f"scale{scale}") for scale in range(1, 5))
        return [resized(scale(features), features) for scale in scales]


class DeepPyramidPooling(PyramidScales):
    """DAPPM: from fine to coarse, each scale is added to the one before it and convolved."""

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__(inputs, branch, outputs)
        for scale in range(1, 5):
            self.add_module(f"process{scale}", nn.Sequential(*activated_first(branch, branch, 3)))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        found = [self.scale0(features)]
        for scale, coarse in enumerate(self.enlarged(features), start=1):
            found.append(self.get_submodule(f"process{scale}")(coarse + found[-1]))
        total: Tensor = self.compression(torch.cat(found, 1)) + self.shortcut(features)
        return total


class ParallelPyramidPooling(PyramidScales):
    """PAPPM: all scales are added to the map's own and convolved at once."""

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__(inputs, branch, outputs)
        self.scale_process = nn.Sequential(*activated_first(branch * 4, branch * 4, 3, groups=4))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        own = self.scale0(features)
        coarse = self.scale_process(torch.cat([scale + own for scale in self.enlarged(features)], 1))
        total: Tensor = self.compression(torch.cat([own, coarse], 1)) + self.shortcut(features)
        return total


class SegmentHead(nn.Module):
    """Features to class logits at their own resolution."""

    def __init__(self, inputs: int, channels: int, classes: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, classes, h, w)."""
        features = self.conv1(F.relu(self.bn1(features)))
        logits: Tensor = self.conv2(F.relu(self.bn2(features)))
        return logits


def resized(features: Tensor, like: Tensor) -> Tensor:
    """Return `features` (N, C, h, w) interpolated to the size of `like`, corners not aligned."""
    return F.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)
