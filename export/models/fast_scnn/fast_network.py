"""Fast-SCNN: one stem for both branches, then context at a thirty-second of the resolution beside the stem's detail.

Names of parameters are those of Tramac/Fast-SCNN-pytorch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.shared.adaptive_pooling import adaptive_average
from segrt.export.models.shared.corner_alignment import aligned

_POOLED = (1, 2, 3, 6)


class Convolution(nn.Module):
    """Convolution, normalisation, ReLU, under the name `conv`."""

    def __init__(self, inputs: int, outputs: int, size: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, size, stride, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h', w'); nothing is padded."""
        found: Tensor = self.conv(features)
        return found


class Depthwise(nn.Module):
    """A 3x3 convolution of each channel by itself, normalisation, ReLU."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(*_depthwise(channels, stride))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, channels, h / stride, w / stride)."""
        found: Tensor = self.conv(features)
        return found


class Separable(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        last = [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.conv = nn.Sequential(*_depthwise(inputs, stride), *last)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / stride, w / stride)."""
        found: Tensor = self.conv(features)
        return found


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    ]


class LinearBottleneck(nn.Module):
    """MobileNetV2's block: widened six times, convolved channel by channel, narrowed without a ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = inputs * 6
        self.shortcut = stride == 1 and inputs == outputs
        self.block = nn.Sequential(
            Convolution(inputs, wide),
            Depthwise(wide, stride),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / stride, w / stride)."""
        found: Tensor = self.block(features)
        return found + features if self.shortcut else found


class Downsample(nn.Module):
    """The stem, "learning to downsample": pixels to 64 channels at an eighth of their resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Convolution(3, 32, 3, 2)
        self.dsconv1 = Separable(32, 48, 2)
        self.dsconv2 = Separable(48, 64, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (N, 64, h / 8, w / 8)."""
        found: Tensor = self.dsconv2(self.dsconv1(self.conv(pixels)))
        return found


class PyramidPooling(nn.Module):
    """The map beside its means over grids of 1, 2, 3 and 6 cells a side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for number in range(1, 5):
            self.add_module(f"conv{number}", Convolution(inputs, inputs // 4))
        self.out = Convolution(inputs * 2, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        found = [features]
        for number, cells in enumerate(_POOLED, start=1):
            pooled = self.get_submodule(f"conv{number}")(adaptive_average(features, (cells, cells)))
            found.append(aligned(pooled, (features.shape[2], features.shape[3])))
        merged: Tensor = self.out(torch.cat(found, dim=1))
        return merged


class GlobalFeatures(nn.Module):
    """Context: the stem's features at a quarter of their resolution."""

    def __init__(self) -> None:
        super().__init__()
        for number, (inputs, outputs, stride) in enumerate(((64, 64, 2), (64, 96, 2), (96, 128, 1)), start=1):
            later = [LinearBottleneck(outputs, outputs, 1) for _ in range(2)]
            self.add_module(f"bottleneck{number}", nn.Sequential(LinearBottleneck(inputs, outputs, stride), *later))
        self.ppm = PyramidPooling(128, 128)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, 128, h / 4, w / 4)."""
        for stage in self.children():
            features = stage(features)
        return features


class FeatureFusion(nn.Module):
    """Context, enlarged four times, added to the stem's detail."""

    def __init__(self) -> None:
        super().__init__()
        self.dwconv = Depthwise(128)
        self.conv_lower_res = nn.Sequential(nn.Conv2d(128, 128, 1), nn.BatchNorm2d(128))
        self.conv_higher_res = nn.Sequential(nn.Conv2d(64, 128, 1), nn.BatchNorm2d(128))

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Return (N, 128, h, w)."""
        context = aligned(context, (context.shape[2] * 4, context.shape[3] * 4))
        return F.relu(self.conv_higher_res(detail) + self.conv_lower_res(self.dwconv(context)))


class Classifier(nn.Module):
    """Features to class logits at their own resolution."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.dsconv1 = Separable(128, 128)
        self.dsconv2 = Separable(128, 128)
        self.conv = nn.Sequential(nn.Dropout(0.1), nn.Conv2d(128, classes, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, classes, h, w)."""
        logits: Tensor = self.conv(self.dsconv2(self.dsconv1(features)))
        return logits


class FastSCNN(nn.Module):
    """Pixels (N, 3, h, w), both sides multiples of 32, to class logits (N, C, h / 8, w / 8)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.learning_to_downsample = Downsample()
        self.global_feature_extractor = GlobalFeatures()
        self.feature_fusion = FeatureFusion()
        self.classifier = Classifier(classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits; the head that training adds is left out."""
        detail = self.learning_to_downsample(pixels)
        logits: Tensor = self.classifier(self.feature_fusion(detail, self.global_feature_extractor(detail)))
        return logits
