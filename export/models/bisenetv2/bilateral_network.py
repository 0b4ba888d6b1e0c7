"""BiSeNetV2: a wide and shallow branch for detail, a narrow and deep one for context, fused under mutual guidance.

Names of parameters are those of CoinCheung/BiSeNet, whose weights are the published ones.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_DETAIL = ((3, 64), (64, 64)), ((64, 64), (64, 64), (64, 64)), ((64, 128), (128, 128), (128, 128))
_EXPANSION = 6
_WIDTH = 128
_HEAD_CHANNELS = 1024


class ConvBNReLU(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / stride, w / stride)."""
        return F.relu(self.bn(self.conv(features)))


def depthwise(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Return a 3x3 convolution of each channel by itself, and its normalisation."""
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a 1x1 convolution and its normalisation."""
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]


class Detail(nn.Module):
    """Pixels to 128 channels at an eighth of their resolution."""

    def __init__(self) -> None:
        super().__init__()
        for number, layers in enumerate(_DETAIL, start=1):
            blocks = [ConvBNReLU(*layer, stride=2 if index == 0 else 1) for index, layer in enumerate(layers)]
            self.add_module(f"S{number}", nn.Sequential(*blocks))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (N, 128, h / 8, w / 8)."""
        features = pixels
        for stage in self.children():
            features = stage(features)
        return features


class Stem(nn.Module):
    """Two ways to a quarter of the resolution, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvBNReLU(3, 16, stride=2)
        self.left = nn.Sequential(ConvBNReLU(16, 8, 1), ConvBNReLU(8, 16, stride=2))
        self.fuse = ConvBNReLU(32, 16)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (N, 16, h / 4, w / 4)."""
        features = self.conv(pixels)
        pooled = F.max_pool2d(features, 3, stride=2, padding=1)
        fused: Tensor = self.fuse(torch.cat([self.left(features), pooled], dim=1))
        return fused


class GatherExpand(nn.Module):
    """GELayerS1: widened channel by channel and narrowed again, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBNReLU(channels, channels)
        self.dwconv = nn.Sequential(*depthwise(channels, channels * _EXPANSION), nn.ReLU())
        self.conv2 = nn.Sequential(*pointwise(channels * _EXPANSION, channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h, w)."""
        return F.relu(self.conv2(self.dwconv(self.conv1(features))) + features)


class GatherExpandDown(nn.Module):
    """GELayerS2: the same to half the resolution and other channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        wide = inputs * _EXPANSION
        self.conv1 = ConvBNReLU(inputs, inputs)
        self.dwconv1 = nn.Sequential(*depthwise(inputs, wide, stride=2))
        self.dwconv2 = nn.Sequential(*depthwise(wide, wide), nn.ReLU())
        self.conv2 = nn.Sequential(*pointwise(wide, outputs))
        self.shortcut = nn.Sequential(*depthwise(inputs, inputs, stride=2), *pointwise(inputs, outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / 2, w / 2)."""
        inner = self.conv2(self.dwconv2(self.dwconv1(self.conv1(features))))
        return F.relu(inner + self.shortcut(features))


class ContextEmbedding(nn.Module):
    """Adds what the whole picture has on average to every cell."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(_WIDTH)
        self.conv_gap = ConvBNReLU(_WIDTH, _WIDTH, 1)
        self.conv_last = ConvBNReLU(_WIDTH, _WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, 128, h, w)."""
        whole = self.conv_gap(self.bn(features.mean(dim=(2, 3), keepdim=True)))
        embedded: Tensor = self.conv_last(whole + features)
        return embedded


class Context(nn.Module):
    """Pixels to 128 channels at a thirty-second of their resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.S1S2 = Stem()
        self.S3 = nn.Sequential(GatherExpandDown(16, 32), GatherExpand(32))
        self.S4 = nn.Sequential(GatherExpandDown(32, 64), GatherExpand(64))
        self.S5_4 = nn.Sequential(GatherExpandDown(64, _WIDTH), *(GatherExpand(_WIDTH) for _ in range(3)))
        self.S5_5 = ContextEmbedding()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (N, 128, h / 32, w / 32)."""
        found: Tensor = self.S5_5(self.S5_4(self.S4(self.S3(self.S1S2(pixels)))))
        return found


class Aggregation(nn.Module):
    """Bilateral guided aggregation: each branch is weighed by the other, at either resolution."""

    def __init__(self) -> None:
        super().__init__()
        wide = _WIDTH
        self.left1 = nn.Sequential(*depthwise(wide, wide), nn.Conv2d(wide, wide, 1, bias=False))
        self.left2 = nn.Sequential(
            nn.Conv2d(wide, wide, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.AvgPool2d(3, stride=2, padding=1),
        )
        self.right1 = nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide))
        self.right2 = nn.Sequential(*depthwise(wide, wide), nn.Conv2d(wide, wide, 1, bias=False))
        self.conv = nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU())

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Return `detail` (N, 128, h, w) and `context` (N, 128, h / 4, w / 4), fused at the finer resolution."""
        fine = self.left1(detail) * torch.sigmoid(_four_times(self.right1(context)))
        coarse = self.left2(detail) * torch.sigmoid(self.right2(context))
        fused: Tensor = self.conv(fine + _four_times(coarse))
        return fused


class SegmentHead(nn.Module):
    """Features to class logits at their own resolution."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(_WIDTH, _HEAD_CHANNELS)
        self.conv_out = nn.Sequential(nn.Identity(), nn.Conv2d(_HEAD_CHANNELS, classes, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, classes, h, w)."""
        logits: Tensor = self.conv_out(self.conv(features))
        return logits


class BiSeNetV2(nn.Module):
    """Pixels (N, 3, h, w), both sides multiples of 32, to class logits (N, C, h / 8, w / 8)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.detail = Detail()
        self.segment = Context()
        self.bga = Aggregation()
        self.head = SegmentHead(classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits of both branches together; the heads that training adds are left out."""
        logits: Tensor = self.head(self.bga(self.detail(pixels), self.segment(pixels)))
        return logits


def _four_times(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=4, mode="nearest")
