"""ECSeg's backbone: a small vision transformer behind four strided convolutions, and three maps of its last layers.

Names of modules are those of the authors' `ViTAdapter` and `VisionTransformer`.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.ecseg.ec_sizes import Config

_EPSILON = 1e-6
_BASE = 100.0


class ConvNorm(nn.Module):
    """A convolution with batch normalisation; `activation` where there is one."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / stride, w / stride)."""
        features = self.norm(self.conv(features))
        return features if self.activation is None else self.activation(features)


class PatchEmbedding(nn.Module):
    """Four convolutions, each of which halves the size, instead of one over whole patches."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        channels = [3, embedding // 8, embedding // 4, embedding // 2]
        self.convs = nn.ModuleList(
            ConvNorm(inputs, outputs, 3, stride=2, activation=F.relu)
            for inputs, outputs in itertools.pairwise(channels)
        )
        self.proj = nn.Conv2d(channels[-1], embedding, 3, stride=2, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (N, embedding, h / 16, w / 16) of pixels (N, 3, h, w)."""
        for conv in self.convs:
            pixels = conv(pixels)
        embedded: Tensor = self.proj(pixels)
        return embedded


class RotaryPositions(nn.Module):
    """Angles by which queries and keys of a patch are turned: its place, -1 to 1, over each of the `periods`."""

    periods: Tensor

    def __init__(self, head_channels: int) -> None:
        super().__init__()
        quarter = head_channels // 4
        self.register_buffer("periods", _BASE ** (2 * torch.arange(quarter) / (head_channels // 2)))

    def forward(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return sine and cosine (height * width, head channels)."""
        y, x = ((torch.arange(side) + 0.5) / side * 2 - 1 for side in (height, width))
        places = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1).to(self.periods.dtype)
        angles = (2 * math.pi * places[:, :, None] / self.periods).flatten(1).repeat(1, 2)
        return angles.sin(), angles.cos()


class Attention(nn.Module):
    """Self-attention with turned queries and keys; the first token, which has no place, is not turned."""

    def __init__(self, embedding: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(embedding, 3 * embedding)
        self.proj = nn.Linear(embedding, embedding)

    def forward(self, tokens: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
        """Return tokens (N, T, embedding)."""
        batch, count, embedding = tokens.shape
        parts = self.qkv(tokens).reshape(batch, count, 3, self.heads, embedding // self.heads).permute(2, 0, 3, 1, 4)
        queries, keys = (turned(part, sine, cosine) for part in parts[:2])
        found = F.scaled_dot_product_attention(queries, keys, parts[2])
        projected: Tensor = self.proj(found.transpose(1, 2).reshape(batch, count, embedding))
        return projected


class FeedForward(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens (N, T, channels)."""
        mixed: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mixed


class Block(nn.Module):
    """Attention and feed-forward layers, each with its norm before it and what it is given added."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.embedding, eps=_EPSILON)
        self.attn = Attention(config.embedding, config.heads)
        self.norm2 = nn.LayerNorm(config.embedding, eps=_EPSILON)
        self.mlp = FeedForward(config.embedding, config.embedding * config.expansion)

    def forward(self, tokens: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
        """Return tokens (N, T, embedding)."""
        tokens = tokens + self.attn(self.norm1(tokens), sine, cosine)
        mixed: Tensor = tokens + self.mlp(self.norm2(tokens))
        return mixed


class CompactViT(nn.Module):
    """The transformer; its map is the mean of what its last two blocks give."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config.embedding)
        self.register_token = nn.Parameter(torch.randn(1, 1, config.embedding) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.rope_embed = RotaryPositions(config.embedding // config.heads)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the map (N, embedding, h / 16, w / 16) of pixels (N, 3, h, w)."""
        grid = self.patch_embed(pixels)
        height, width = grid.shape[2], grid.shape[3]
        sine, cosine = self.rope_embed(height, width)
        patches = grid.flatten(2).transpose(1, 2)
        tokens = torch.cat((self.register_token.expand(patches.shape[0], -1, -1), patches), dim=1)
        before = tokens
        for block in self.blocks:
            before, tokens = tokens, block(tokens, sine, cosine)
        fused = (before[:, 1:] + tokens[:, 1:]) / 2
        return fused.transpose(1, 2).reshape(-1, grid.shape[1], height, width)


class Backbone(nn.Module):
    """The transformer's map at strides 8, 16 and 32."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.backbone = CompactViT(config)
        self.projector = nn.ModuleList(
            ConvNorm(config.embedding, config.channels, 1) for _ in range(3 if config.projects_all else 1)
        )

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return three maps (N, C, h, w), the finest first, of pixels (N, 3, h, w)."""
        fused = self.backbone(pixels)
        height, width = fused.shape[2], fused.shape[3]
        sizes = ((height * 2, width * 2), (height, width), (height // 2, width // 2))
        maps = [F.interpolate(fused, size=size, mode="bilinear", align_corners=False) for size in sizes]
        first = len(maps) - len(self.projector)
        return [*maps[:first], *(layer(one) for layer, one in zip(self.projector, maps[first:], strict=True))]


def turned(rows: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
    """Return rows (N, heads, T, D), all but the first turned by the angles of `sine` and `cosine` (T - 1, D)."""
    patches = rows[:, :, 1:]
    low, high = patches.chunk(2, dim=-1)
    return torch.cat((rows[:, :, :1], patches * cosine + torch.cat((-high, low), dim=-1) * sine), dim=2)
