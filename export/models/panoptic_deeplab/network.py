"""Panoptic-DeepLab (Cheng et al., CVPR 2020), written here, with the names of detectron2's published state dicts.

A dilated ResNet of output stride 16; two decoders alike, each an atrous spatial pyramid (ASPP) that is twice enlarged
and fused with finer features; a semantic head on one, a centre and an offset head on the other. The heads end at a
quarter of the picture's size; offsets count cells of that grid. "ResNet-52" is ResNet-50 with three 3x3 convolutions
in the place of the first 7x7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from segrt.export.models.shared.detectron2_resnet import Conv, ResNet

HEAD_STRIDE = 4
OUTPUT_STRIDE = 16
_LEVELS = {"res2": 256, "res3": 512, "res5": 2048}  # channels of the features that the decoders take
_PROJECTED = {"res2": 32, "res3": 64}
_PYRAMID_CHANNELS = 256
_PYRAMID_DILATIONS = (6, 12, 18)
_SEMANTIC_CHANNELS, _INSTANCE_CHANNELS, _INSTANCE_HEAD_CHANNELS = 256, 128, 32


@dataclass(frozen=True)
class Config:
    """What distinguishes the published networks.

    `classes` of the semantic head; `blocks` in each stage of the ResNet; `deep_stem` for ResNet-52; `stride_in_1x1`
    where a block's first convolution halves the size, not its second (the original ResNet-50 of Caffe); `separable`
    for depthwise separable convolutions in pyramid, decoder and heads (DSConv); `train_size` (h, w) of the crops it was
    trained on: the pyramid averages over windows of that size.
    """

    classes: int = 19
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    deep_stem: bool = True
    stride_in_1x1: bool = False
    separable: bool = False
    train_size: tuple[int, int] = (512, 1024)


class SeparableConv(nn.Module):
    """A convolution of every channel by itself, then one of 1x1 that mixes them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise = Conv(inputs, inputs, kernel, dilation=dilation, groups=inputs)
        self.pointwise = Conv(inputs, outputs, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, h, w) of features (N, inputs, h, w)."""
        mixed: torch.Tensor = self.pointwise(self.depthwise(features))
        return mixed


def fuse(inputs: int, middle: int, outputs: int, separable: bool) -> nn.Module:
    """Two 3x3 convolutions, or one separable 5x5 that sees as far."""
    if separable:
        return SeparableConv(inputs, outputs, 5)
    return nn.Sequential(Conv(inputs, middle, 3), Conv(middle, outputs, 3))


class AveragePool(nn.Module):
    """The mean of every window of `size` cells, of the whole map where that is no larger."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the means, (N, C, h - size + 1, w - size + 1)."""
        height, width = features.shape[-2:]
        if height <= self.size[0] and width <= self.size[1]:
            return features.mean((2, 3), keepdim=True)
        # Columns, then rows: of windows of 32x64 cells that is a sixteenth of the work.
        features = functional.avg_pool2d(features, (min(height, self.size[0]), 1), stride=1)
        return functional.avg_pool2d(features, (1, min(width, self.size[1])), stride=1)


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, three dilated 3x3 and the mean over a window, side by side."""

    def __init__(self, inputs: int, config: Config) -> None:
        super().__init__()
        outputs = _PYRAMID_CHANNELS
        window = (config.train_size[0] // OUTPUT_STRIDE, config.train_size[1] // OUTPUT_STRIDE)
        dilated = SeparableConv if config.separable else Conv
        self.convs = nn.ModuleList([Conv(inputs, outputs, 1)])
        self.convs.extend(dilated(inputs, outputs, 3, dilation=dilation) for dilation in _PYRAMID_DILATIONS)
        self.convs.append(nn.Sequential(AveragePool(window), Conv(inputs, outputs, 1, norm=False)))
        self.project = Conv(5 * outputs, outputs, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, 256, h, w) of features (N, inputs, h, w)."""
        sides = [conv(features) for conv in self.convs]
        sides[-1] = _enlarged(sides[-1], features.shape[-2:])
        projected: torch.Tensor = self.project(torch.cat(sides, dim=1))
        return projected


class Decoder(nn.Module):
    """The pyramid's features, twice enlarged and fused with those of res3 and res2."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        self.decoder = nn.ModuleDict()
        below = _PYRAMID_CHANNELS
        stages: dict[str, nn.ModuleDict] = {"res5": nn.ModuleDict({"project_conv": Pyramid(_LEVELS["res5"], config)})}
        for level in ("res3", "res2"):
            fused = fuse(_PROJECTED[level] + below, channels, channels, config.separable)
            projected = Conv(_LEVELS[level], _PROJECTED[level], 1)
            stages[level] = nn.ModuleDict({"project_conv": projected, "fuse_conv": fused})
            below = channels
        self.decoder.update(stages)

    def decode(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return features (N, channels, h/4, w/4) of the backbone's."""
        decoded: torch.Tensor = self.decoder["res5"]["project_conv"](features["res5"])  # type: ignore[index]
        for level in ("res3", "res2"):
            fine = self.decoder[level]["project_conv"](features[level])  # type: ignore[index]
            wide = _enlarged(decoded, fine.shape[-2:])
            decoded = self.decoder[level]["fuse_conv"](torch.cat([fine, wide], dim=1))  # type: ignore[index]
        return decoded


class SemanticHead(Decoder):
    """Logits of every class."""

    def __init__(self, config: Config) -> None:
        super().__init__(_SEMANTIC_CHANNELS, config)
        self.head = fuse(_SEMANTIC_CHANNELS, _SEMANTIC_CHANNELS, _SEMANTIC_CHANNELS, config.separable)
        self.predictor = nn.Conv2d(_SEMANTIC_CHANNELS, config.classes, 1)

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return logits (N, classes, h/4, w/4)."""
        logits: torch.Tensor = self.predictor(self.head(self.decode(features)))
        return logits


class InstanceHead(Decoder):
    """A heatmap of the objects' centres, and from every cell the way to its object's centre."""

    def __init__(self, config: Config) -> None:
        super().__init__(_INSTANCE_CHANNELS, config)
        inputs, outputs = _INSTANCE_CHANNELS, _INSTANCE_HEAD_CHANNELS
        # The centre head has plain convolutions in the separable network, too.
        self.center_head = fuse(inputs, inputs, outputs, separable=False)
        self.center_predictor = nn.Conv2d(outputs, 1, 1)
        self.offset_head = fuse(inputs, inputs, outputs, config.separable)
        self.offset_predictor = nn.Conv2d(outputs, 2, 1)

    def forward(self, features: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return heat (N, 1, h/4, w/4) and offsets (N, 2, h/4, w/4), y then x, in cells."""
        decoded = self.decode(features)
        return self.center_predictor(self.center_head(decoded)), self.offset_predictor(self.offset_head(decoded))


class PanopticDeepLab(nn.Module):
    """The whole network, from normalised pixels to the three heads."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.backbone = ResNet(
            config.blocks, deep_stem=config.deep_stem, stride_in_1x1=config.stride_in_1x1, dilated=True
        )
        self.sem_seg_head = SemanticHead(config)
        self.ins_embed_head = InstanceHead(config)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits (N, C, h/4, w/4), centre heat (N, 1, …) and offsets (N, 2, …) of pixels (N, 3, h, w)."""
        features = self.backbone(pixels)
        return self.sem_seg_head(features), *self.ins_embed_head(features)


def _enlarged(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return functional.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
