"""YOSO's separable dynamic decoder: a hundred kernels, refined by what their own masks show.

A query's convolutions over its channels have a kernel that another query gives. torch would run one convolution for
each picture; shifted products and a matrix product are the same, static and for any number of pictures. Names of
modules are those of the authors' `YOSOHead`, `CrossAttenHead` and `DySepConvAtten`.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_HEADS = 8
_HIDDEN = 2048


@dataclass(frozen=True)
class HeadOptions:
    """`layers` before the classes' and masks' last ones; `temperature` divides class logits."""

    classes: int
    layers: int = 1
    stages: int = 2
    queries: int = 100
    channels: int = 256
    kernel: int = 3
    temperature: float = 0.05


class MaskPooling(nn.Module):
    """The sum of the features under each mask. Float16 cannot hold it for large masks."""

    def forward(self, masks: Tensor, features: Tensor) -> Tensor:
        """Return (N, Q, C) of mask logits (N, Q, h, w) and features (N, C, h, w)."""
        inside = (torch.sigmoid(masks) > 0.5).to(features.dtype)
        return torch.matmul(inside.flatten(2), features.flatten(2).transpose(1, 2))


class DynamicConvolution(nn.Module):
    """A convolution along the channels of each query, then one that mixes queries, with kernels that queries give."""

    def __init__(self, options: HeadOptions) -> None:
        super().__init__()
        self.taps = options.kernel
        self.weight_linear = nn.Linear(options.channels, options.queries + options.kernel)
        self.norm = nn.LayerNorm(options.channels)

    def forward(self, queries: Tensor, values: Tensor) -> Tensor:
        """Return rows (N, Q, C) of queries (N, Q, C), which give the kernels, and values (N, Q, C)."""
        channels = values.shape[2]
        weights = self.weight_linear(queries)
        padded = F.pad(values, (self.taps // 2, self.taps // 2))
        along = torch.zeros_like(values)
        for tap in range(self.taps):
            along = along + weights[:, :, tap, None] * padded[:, :, tap : tap + channels]
        mixed: Tensor = self.norm(torch.matmul(weights[:, :, self.taps :], F.relu(along)))
        return mixed


class FeedForward(nn.Module):
    """Two layers, added to what they are given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(channels, _HIDDEN), nn.ReLU()), nn.Linear(_HIDDEN, channels)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return rows (N, Q, C)."""
        added: Tensor = rows + self.layers(rows)
        return added


def stacked(channels: int, layers: int) -> nn.ModuleList:
    """Return linear layers with norm and ReLU behind each."""
    kinds = [(nn.Linear(channels, channels, bias=False), nn.LayerNorm(channels), nn.ReLU()) for _ in range(layers)]
    return nn.ModuleList(module for three in kinds for module in three)


class QueryStage(nn.Module):
    """One refinement: queries are remade of the features under their masks, and give new masks."""

    def __init__(self, options: HeadOptions, *, last: bool) -> None:
        """Of the stages before the `last` one nobody asks the classes outside training."""
        super().__init__()
        channels = options.channels
        self.pooling = MaskPooling()
        self.f_atten, self.k_atten = DynamicConvolution(options), DynamicConvolution(options)
        self.f_atten_norm, self.k_atten_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.s_atten = nn.MultiheadAttention(channels, _HEADS, batch_first=True)
        self.s_atten_norm = nn.LayerNorm(channels)
        self.ffn, self.ffn_norm = FeedForward(channels), nn.LayerNorm(channels)
        self.cls_fcs = stacked(channels, options.layers) if last else None
        self.fc_cls = nn.Linear(channels, options.classes + 1) if last else None
        self.mask_fcs = stacked(channels, options.layers)
        self.fc_mask = nn.Linear(channels, channels)

    def refined(self, features: Tensor, queries: Tensor, masks: Tensor) -> Tensor:
        """Return the new queries (N, Q, C) of features (N, C, h, w), queries and their mask logits (N, Q, h, w)."""
        pooled = self.pooling(masks, features)
        pooled = self.f_atten_norm(pooled + self.f_atten(queries, pooled))
        found = self.k_atten_norm(pooled + self.k_atten(queries, pooled))
        found = self.s_atten_norm(found + self.s_atten(found, found, found, need_weights=False)[0])
        normalised: Tensor = self.ffn_norm(self.ffn(found))
        return normalised

    def classified(self, queries: Tensor) -> Tensor:
        """Return the rows (N, Q, C) that `fc_cls` makes classes of."""
        for layer in self.cls_fcs or ():
            queries = layer(queries)
        return queries

    def kernels(self, queries: Tensor) -> Tensor:
        """Return the mask kernels (N, Q, C) of queries (N, Q, C)."""
        for layer in self.mask_fcs:
            queries = layer(queries)
        kernels: Tensor = self.fc_mask(queries)
        return kernels


class YOSOHead(nn.Module):
    """All stages: from the features to the last queries."""

    def __init__(self, options: HeadOptions) -> None:
        super().__init__()
        self.temperature = options.temperature
        self.kernels = nn.Conv2d(options.channels, options.queries, 1)
        self.mask_heads = nn.ModuleList(
            QueryStage(options, last=stage == options.stages - 1) for stage in range(options.stages)
        )

    def forward(self, features: Tensor, until: QueryStage | None = None) -> Tensor:
        """Return the queries (N, Q, C) of features (N, C, h, w) behind the stage `until`, the last one by default."""
        masks = self.kernels(features)
        queries = self.kernels.weight.flatten(1)[None].expand(features.shape[0], -1, -1)
        for module in self.mask_heads:
            stage = cast("QueryStage", module)
            queries = stage.refined(features, queries, masks)
            if stage is (until or self.last):
                break
            masks = mask_logits(stage.kernels(queries), features)
        return queries

    @property
    def last(self) -> QueryStage:
        """The stage whose heads are the network's."""
        return cast("QueryStage", self.mask_heads[-1])


def mask_logits(kernels: Tensor, features: Tensor) -> Tensor:
    """Return mask logits (N, Q, h, w) of kernels (N, Q, C) and features (N, C, h, w)."""
    return torch.einsum("bqc,bchw->bqhw", kernels, features)
