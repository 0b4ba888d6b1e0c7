"""SOLOv2's head: a class and a mask kernel for every cell of five grids, and one map of mask features for all."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.solov2.pyramid import Block

STRIDES = (8, 8, 16, 32, 32)  # of the maps that the grids are taken from; a mask must have more cells than that
MASK_STRIDE = 4


@dataclass(frozen=True)
class HeadOptions:
    """`grids`: cells along each side of the five grids, for small objects first; the rest are numbers of channels."""

    classes: int
    grids: tuple[int, ...] = (40, 36, 24, 16, 12)
    stacked: int = 4
    channels: int = 512
    mask_hidden: int = 128
    mask_channels: int = 256


class MaskFeatures(nn.Module):
    """The unified mask features: the four finest maps, each brought to stride 4 step by step, added up."""

    def __init__(self, inputs: int, options: HeadOptions) -> None:
        super().__init__()
        hidden = options.mask_hidden
        self.convs_all_levels = nn.ModuleList()
        for level in range(4):
            steps = nn.Sequential()
            for step in range(max(level, 1)):
                # The coarsest map is given coordinates, so that masks can tell apart what looks alike.
                first = inputs + (2 if level == 3 else 0)
                steps.add_module(f"conv{step}", Block(first if step == 0 else hidden, hidden, 3, normalised=True))
                if level > 0:
                    upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
                    steps.add_module(f"upsample{step}", upsample)
            self.convs_all_levels.append(steps)
        self.conv_pred = Block(hidden, options.mask_channels, 1, normalised=True)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Return (N, mask_channels, h / 4, w / 4) of the pyramid's maps."""
        inputs = [*levels[:3], with_coordinates(levels[3])]
        total = self.convs_all_levels[0](inputs[0])
        for steps, features in zip(list(self.convs_all_levels)[1:], inputs[1:], strict=True):
            total = total + steps(features)
        predicted: Tensor = self.conv_pred(total)
        return predicted


class SOLOv2Head(nn.Module):
    """The category branch, the kernel branch and the mask features."""

    def __init__(self, inputs: int, options: HeadOptions) -> None:
        super().__init__()
        self.grids = options.grids
        sizes = [options.channels] * options.stacked
        self.kernel_convs = nn.ModuleList(
            Block(count, options.channels, 3, normalised=True) for count in [inputs + 2, *sizes[1:]]
        )
        self.cls_convs = nn.ModuleList(
            Block(count, options.channels, 3, normalised=True) for count in [inputs, *sizes[1:]]
        )
        self.conv_cls = nn.Conv2d(options.channels, options.classes, 3, padding=1)
        self.conv_kernel = nn.Conv2d(options.channels, options.mask_channels, 3, padding=1)
        self.mask_feature_head = MaskFeatures(inputs, options)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return class logits (N, C, S, S) and kernels (N, E, S, S) of each grid, and mask features (N, E, h, w)."""
        maps = grid_maps(levels)
        cells = [self.cells(features, side) for features, side in zip(maps, self.grids, strict=True)]
        return [logits for logits, _ in cells], [kernels for _, kernels in cells], self.mask_feature_head(levels)

    def cells(self, features: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Return class logits (N, C, side, side) and kernels (N, E, side, side) of one map (N, C, h, w)."""
        kernels = resized(with_coordinates(features), (side, side))
        category = kernels[:, :-2]
        for block in self.kernel_convs:
            kernels = block(kernels)
        for block in self.cls_convs:
            category = block(category)
        return self.conv_cls(category), self.conv_kernel(kernels)


def grid_maps(levels: Sequence[Tensor]) -> list[Tensor]:
    """Return the maps that the grids are taken from: the finest and the coarsest level as large as their neighbours."""
    maps = list(levels)
    maps[0] = resized(maps[0], maps[1].shape[2:])
    maps[-1] = resized(maps[-1], maps[-2].shape[2:])
    return maps


def with_coordinates(features: Tensor) -> Tensor:
    """Return `features` (N, C, h, w) with each cell's x and y, from -1 to 1, as two more channels (CoordConv)."""
    count, _, height, width = features.shape
    x = torch.linspace(-1, 1, width).view(1, 1, 1, width).expand(count, 1, height, width)
    y = torch.linspace(-1, 1, height).view(1, 1, height, 1).expand(count, 1, height, width)
    return torch.cat([features, x, y], dim=1)


def resized(features: Tensor, size: Sequence[int]) -> Tensor:
    """Return `features` (N, C, h, w) interpolated to `size`, corners not aligned."""
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
