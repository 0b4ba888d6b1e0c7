"""YOSO's feature pyramid aggregator: from four maps of the backbone to the features that masks are products with.

Names of modules are those of the authors' `YOSONeck` and `LiteDeformConv`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.yoso.deformable_convolution import TAPS, DeformableConvolution

_AGGREGATED = 128


class DeformableEnlarging(nn.Module):
    """A deformable convolution, then a transposed one that doubles the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dcn_offset = nn.Conv2d(inputs, 3 * TAPS, 3, padding=1)
        self.dcn = DeformableConvolution(inputs, outputs)
        self.dcn_bn = nn.BatchNorm2d(outputs)
        self.up_sample = nn.ConvTranspose2d(outputs, outputs, 4, stride=2, padding=1, bias=False)
        self.up_bn = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, 2h, 2w) of features (N, inputs, h, w)."""
        found = self.dcn_offset(features)
        moved = self.dcn(features, found[:, : 2 * TAPS], torch.sigmoid(found[:, 2 * TAPS :]))
        return F.relu(self.up_bn(self.up_sample(F.relu(self.dcn_bn(moved)))))


class PyramidAggregator(nn.Module):
    """Maps from coarse to fine, each added to the next, and the sum of all at stride 4."""

    def __init__(self, inputs: Sequence[int]) -> None:
        """`inputs` are the channels of the maps, the finest first."""
        super().__init__()
        narrow = [count // 2 for count in inputs]
        for index in range(4):
            level = 3 - index  # lateral_conv0 is the coarsest's, conv_a2 the finest's
            self.add_module(f"lateral_conv{index}", nn.Conv2d(inputs[level], narrow[level], 1))
            self.add_module(f"conv_a{level + 2}", nn.Conv2d(narrow[level], _AGGREGATED, 1, bias=False))
            if level > 0:
                self.add_module(f"deform_conv{index + 1}", DeformableEnlarging(narrow[level], narrow[level - 1]))
        self.output_conv = nn.Conv2d(_AGGREGATED, _AGGREGATED, 3, padding=1)
        self.bias = nn.Parameter(torch.zeros(1, _AGGREGATED, 1, 1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, 128, h, w) of four maps, the finest, (N, C, h, w), first."""
        size = (maps[0].shape[2], maps[0].shape[3])
        total, below = self.bias, None
        for index in range(4):
            level = 3 - index
            features: Tensor = self.get_submodule(f"lateral_conv{index}")(maps[level])
            if below is not None:
                features = features + self.get_submodule(f"deform_conv{index}")(below)
            narrow = self.get_submodule(f"conv_a{level + 2}")(features)
            if level > 0:
                narrow = F.interpolate(narrow, size=size, mode="bilinear", align_corners=False)
            total, below = total + narrow, features
        aggregated: Tensor = self.output_conv(total)
        return aggregated


class YOSONeck(nn.Module):
    """The aggregated features with the coordinates of each cell."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.deconv = PyramidAggregator(inputs)
        self.loc_conv = nn.Conv2d(_AGGREGATED + 2, channels, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, channels, h, w) of four maps, the finest, (N, C, h, w), first."""
        features = self.deconv(maps)
        height, width = features.shape[2], features.shape[3]
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        places = torch.stack([x, y])[None].expand(features.shape[0], -1, -1, -1).to(features.dtype)
        located: Tensor = self.loc_conv(torch.cat([features, places], dim=1))
        return located
