"""A modulated deformable convolution (DCNv2) of 3x3 taps, exactly, from what every exporter and TensorRT take.

The convolution of each tap comes first and the sampling after it: both are linear, and so half the channels are
sampled. The nine taps are nine pictures of one GridSample, which interpolates and takes zeros outside as DCN does.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SIDE = 3
TAPS = _SIDE**2


class TapSampling(nn.Module):
    """What each tap finds where it is sent to. To be computed in float32: float16 cannot name a pixel of a wide map."""

    def forward(self, maps: Tensor, offsets: Tensor) -> Tensor:
        """Return maps (N, 9, C, h, w) of `maps` (N, 9, C, h, w) moved by `offsets` (N, 18, h, w): y, x of each tap."""
        _, taps, channels, height, width = maps.shape
        down, right = torch.arange(height)[:, None], torch.arange(width)[None]
        step_down = torch.arange(taps).div(_SIDE, rounding_mode="floor") - _SIDE // 2
        step_right = torch.arange(taps) % _SIDE - _SIDE // 2
        y = (down[None] + step_down[:, None, None]).to(offsets.dtype) + offsets[:, 0::2]  # [N, 9, h, w]
        x = (right[None] + step_right[:, None, None]).to(offsets.dtype) + offsets[:, 1::2]
        points = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1).flatten(0, 1)
        found = F.grid_sample(maps.flatten(0, 1), points, mode="bilinear", padding_mode="zeros", align_corners=False)
        return found.reshape(-1, taps, channels, height, width)


class DeformableConvolution(nn.Module):
    """The convolution whose taps are moved by `offsets` and weighted; without a bias, the size is kept."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, _SIDE, _SIDE))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.sampling = TapSampling()

    def forward(self, features: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """Return (N, outputs, h, w) of features (N, inputs, h, w), offsets (N, 18, h, w) and weights (N, 9, h, w)."""
        outputs, inputs = self.weight.shape[:2]
        taps = self.weight.flatten(2).permute(2, 0, 1).reshape(TAPS * outputs, inputs, 1, 1)
        maps = F.conv2d(features, taps)
        sampled: Tensor = self.sampling(maps.reshape(-1, TAPS, outputs, *maps.shape[2:]), offsets)
        return (sampled * weights[:, :, None]).sum(1)
