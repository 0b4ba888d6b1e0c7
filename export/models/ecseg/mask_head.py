"""ECSeg's mask head: RF-DETR's, of which one block of features is used outside training.

The authors' head has a block for every layer of the decoder. Their evaluation, their export and their inference give
it the last layer's queries alone, and it stops with them: after the first block.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPSILON = 1e-6


class FeatureBlock(nn.Module):
    """A convolution of each channel by itself, then one over the channels, added to what it was given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.pwconv1 = nn.Linear(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, C, h, w)."""
        cells = self.norm(self.dwconv(features).permute(0, 2, 3, 1))
        return features + F.gelu(self.pwconv1(cells)).permute(0, 3, 1, 2)


class QueryBlock(nn.Module):
    """Two layers, added to what they are given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(channels)
        self.layers = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, queries: Tensor) -> Tensor:
        """Return (N, Q, C)."""
        added: Tensor = queries + self.layers(self.norm_in(queries))
        return added


class MaskHead(nn.Module):
    """Masks as products of queries and features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([FeatureBlock(channels)])
        self.spatial_features_proj = nn.Conv2d(channels, channels, 1)
        self.query_features_block = QueryBlock(channels)
        self.query_features_proj = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor, queries: Tensor) -> Tensor:
        """Return mask logits (N, Q, 2h, 2w) of features (N, C, h, w) and queries (N, Q, C)."""
        size = (features.shape[2] * 2, features.shape[3] * 2)
        features = F.interpolate(features, size=size, mode="bilinear", align_corners=False)
        for block in self.blocks:
            features = block(features)
        kernels = self.query_features_proj(self.query_features_block(queries))
        return torch.einsum("bchw,bnc->bnhw", self.spatial_features_proj(features), kernels) + self.bias
