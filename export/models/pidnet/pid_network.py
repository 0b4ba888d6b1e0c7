"""PIDNet: three branches, for detail, context and boundaries, as the PID controller has three terms.

Names of parameters are those of the authors' repository.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.shared.dual_resolution import (
    BasicBlock,
    DeepPyramidPooling,
    ParallelPyramidPooling,
    SegmentHead,
    activated_first,
    basic_stage,
    bottleneck_stage,
    normalised,
    resized,
    stem,
)


@dataclass(frozen=True)
class PIDNetOptions:
    """`blocks`: of the first stages and of the third and fourth; the rest are numbers of channels.

    With two `blocks` in the first stages the boundary branch and the fusion are the light ones.
    """

    classes: int
    channels: int = 32
    blocks: tuple[int, int] = (2, 3)
    pooling_channels: int = 96
    head_channels: int = 128


class PixelAttention(nn.Module):
    """Pag: mixes context into detail where both agree."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.f_x = nn.Sequential(*normalised(inputs, channels, 1))
        self.f_y = nn.Sequential(*normalised(inputs, channels, 1))

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Return `detail` (N, C, h, w) and the coarser `context` (N, C, h', w'), mixed."""
        alike = self.f_x(detail) * resized(self.f_y(context), detail)
        share = torch.sigmoid(alike.sum(dim=1, keepdim=True))
        return (1 - share) * detail + share * resized(context, detail)


class Fusion(nn.Module):
    """Bag: takes detail where there are boundaries, context elsewhere."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(*activated_first(inputs, outputs, 3))

    def forward(self, detail: Tensor, context: Tensor, boundaries: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        share = torch.sigmoid(boundaries)
        fused: Tensor = self.conv(share * detail + (1 - share) * context)
        return fused


class LightFusion(nn.Module):
    """Light Bag: the same with two 1x1 convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_p = nn.Sequential(*normalised(inputs, outputs, 1))
        self.conv_i = nn.Sequential(*normalised(inputs, outputs, 1))

    def forward(self, detail: Tensor, context: Tensor, boundaries: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        share = torch.sigmoid(boundaries)
        fused: Tensor = self.conv_p((1 - share) * context + detail) + self.conv_i(context + share * detail)
        return fused


class PIDNet(nn.Module):
    """Pixels (N, 3, h, w), both sides multiples of 8, to class logits (N, C, h / 8, w / 8)."""

    def __init__(self, options: PIDNetOptions) -> None:
        super().__init__()
        width, (first, later) = options.channels, options.blocks
        light = first == 2
        self.conv1 = stem(width)
        self.layer1 = basic_stage(width, width, first)
        self.layer2 = basic_stage(width, width * 2, first, stride=2)
        self.layer3 = basic_stage(width * 2, width * 4, later, stride=2)
        self.layer4 = basic_stage(width * 4, width * 8, later, stride=2)
        self.layer5 = bottleneck_stage(width * 8, width * 8, 2, stride=2)
        self.compression3 = nn.Sequential(*normalised(width * 4, width * 2, 1))
        self.compression4 = nn.Sequential(*normalised(width * 8, width * 2, 1))
        self.pag3 = PixelAttention(width * 2, width)
        self.pag4 = PixelAttention(width * 2, width)
        self.layer3_ = basic_stage(width * 2, width * 2, first)
        self.layer4_ = basic_stage(width * 2, width * 2, first)
        self.layer5_ = bottleneck_stage(width * 2, width * 2, 1)
        boundary = width if light else width * 2
        self.layer3_d = BasicBlock(width * 2, boundary, 1, relu=False)
        self.diff3 = nn.Sequential(*normalised(width * 4, boundary, 3))
        self.diff4 = nn.Sequential(*normalised(width * 8, width * 2, 3))
        self.layer4_d: nn.Module
        if light:
            self.layer4_d = bottleneck_stage(width, width, 1)
        else:
            self.layer4_d = BasicBlock(width * 2, width * 2, 1, relu=False)
        pooling = ParallelPyramidPooling if light else DeepPyramidPooling
        self.spp = pooling(width * 16, options.pooling_channels, width * 4)
        self.dfm = LightFusion(width * 4, width * 4) if light else Fusion(width * 4, width * 4)
        self.layer5_d = bottleneck_stage(width * 2, width * 2, 1)
        self.final_layer = SegmentHead(width * 4, options.head_channels, options.classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits of the fused branches; the heads that training adds are left out."""
        context = self.layer1(self.conv1(pixels))
        context = F.relu(self.layer2(F.relu(context)))
        detail = self.layer3_(context)
        boundaries = self.layer3_d(context)
        context = F.relu(self.layer3(context))
        detail = self.pag3(detail, self.compression3(context))
        boundaries = boundaries + resized(self.diff3(context), boundaries)
        context = F.relu(self.layer4(context))
        detail = self.layer4_(F.relu(detail))
        boundaries = self.layer4_d(F.relu(boundaries))
        detail = self.pag4(detail, self.compression4(context))
        boundaries = boundaries + resized(self.diff4(context), boundaries)
        detail = self.layer5_(F.relu(detail))
        boundaries = self.layer5_d(F.relu(boundaries))
        context = resized(self.spp(self.layer5(context)), detail)
        logits: Tensor = self.final_layer(self.dfm(detail, context, boundaries))
        return logits
