"""ECSeg's encoder: attention on the coarsest map, then the maps are fused from coarse to fine and back.

It is D-FINE's, but that maps are added where D-FINE's are joined, and that its blocks are lighter. Names of modules
are those of the authors' `HybridEncoder`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.dfine_seg.dfine_network import PositionEmbedding
from segrt.export.models.ecseg.compact_vit import ConvNorm
from segrt.export.models.ecseg.ec_sizes import Config

_HEADS = 8


class AttentionLayer(nn.Module):
    """A transformer's layer with its norms behind; positions are added to queries and keys."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.channels
        self.self_attn = nn.MultiheadAttention(channels, _HEADS, batch_first=True)
        self.linear1 = nn.Linear(channels, config.encoder_hidden)
        self.linear2 = nn.Linear(config.encoder_hidden, channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, cells: Tensor, positions: Tensor) -> Tensor:
        """Return cells (N, h * w, C) of cells and positions (1, h * w, C)."""
        placed = cells + positions
        cells = self.norm1(cells + self.self_attn(placed, placed, cells, need_weights=False)[0])
        mixed: Tensor = self.norm2(cells + self.linear2(F.silu(self.linear1(cells))))
        return mixed


class AttentionOnMap(nn.Module):
    """One such layer over the cells of a map."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList([AttentionLayer(config)])
        self.positions = PositionEmbedding(config.channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, C, h, w)."""
        height, width = features.shape[2], features.shape[3]
        cells = features.flatten(2).transpose(1, 2)
        positions = self.positions(width, height, cells.device, cells.dtype)
        for layer in self.layers:
            cells = layer(cells, positions)
        return cells.transpose(1, 2).reshape(features.shape)


class TwoKernels(nn.Module):
    """A 3x3 and a 1x1 convolution, added up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = ConvNorm(channels, channels, 3), ConvNorm(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h, w)."""
        return F.silu(self.conv1(features) + self.conv2(features))


class HalfThrough(nn.Module):
    """One half of the channels goes through the layers, and the other is added."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, 2 * outputs, 1, activation=F.silu)
        self.bottlenecks = nn.Sequential(*(TwoKernels(outputs) for _ in range(count)))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        past, through = self.conv1(features).chunk(2, dim=1)
        added: Tensor = past + self.bottlenecks(through)
        return added


class FusionBlock(nn.Module):
    """Layers one after the other, all of whose maps are joined."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, narrow = config.channels, round(config.narrow * config.channels // 2)
        self.cv1 = ConvNorm(channels, 2 * channels, 1, activation=F.silu)
        self.cv2 = nn.Sequential(HalfThrough(channels, narrow, config.repeated))
        self.cv3 = nn.Sequential(HalfThrough(narrow, narrow, config.repeated))
        self.cv4 = ConvNorm(2 * channels + 2 * narrow, channels, 1, activation=F.silu)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h, w)."""
        maps = list(self.cv1(features).chunk(2, dim=1))
        for layers in (self.cv2, self.cv3):
            maps.append(layers(maps[-1]))
        fused: Tensor = self.cv4(torch.cat(maps, dim=1))
        return fused


class Halving(nn.Module):
    """Half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = ConvNorm(channels, channels, 1)
        self.cv2 = ConvNorm(channels, channels, 3, stride=2, groups=channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h / 2, w / 2)."""
        halved: Tensor = self.cv2(self.cv1(features))
        return halved


class HybridEncoder(nn.Module):
    """The encoder of three maps."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.channels
        self.encoder = nn.ModuleList([AttentionOnMap(config)])
        self.lateral_convs = nn.ModuleList(ConvNorm(channels, channels, 1) for _ in range(2))
        self.fpn_blocks = nn.ModuleList(FusionBlock(config) for _ in range(2))
        self.downsample_convs = nn.ModuleList(nn.Sequential(Halving(channels)) for _ in range(2))
        self.pan_blocks = nn.ModuleList(FusionBlock(config) for _ in range(2))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return three maps (N, C, h, w), the finest first."""
        fine, middle, coarse = maps
        inner = [self.encoder[0](coarse)]
        for lateral, block, finer in zip(self.lateral_convs, self.fpn_blocks, (middle, fine), strict=True):
            inner[0] = lateral(inner[0])
            size = (finer.shape[2], finer.shape[3])
            inner.insert(0, block(F.interpolate(inner[0], size=size, mode="nearest") + finer))
        found = inner[:1]
        for halve, block, coarser in zip(self.downsample_convs, self.pan_blocks, inner[1:], strict=True):
            found.append(block(halve(found[-1]) + coarser))
        return found
