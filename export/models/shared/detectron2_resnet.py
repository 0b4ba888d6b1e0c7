"""ResNet as detectron2 names its parts, with batch normalisation inside the convolutions.

The deep stem has three 3x3 convolutions in the place of the first 7x7.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Conv(nn.Conv2d):
    """A convolution that keeps the size (but for its stride), with batch normalisation `norm` and ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm: bool = True,
        relu: bool = True,
    ) -> None:
        """Without `norm` the convolution has a bias."""
        padding = dilation * (kernel // 2)
        super().__init__(inputs, outputs, kernel, stride, padding, dilation, groups, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else None
        self.relu = relu

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, h / stride, w / stride) of features (N, inputs, h, w)."""
        features = super().forward(features)
        if self.norm is not None:
            features = self.norm(features)
        return functional.relu(features) if self.relu else features


class Stem(nn.Module):
    """The layers before the first residual block, to a quarter of the size."""

    def __init__(self, deep: bool, width: int) -> None:
        super().__init__()
        self.channels = 2 * width if deep else width
        if deep:
            self.conv1 = Conv(3, width, 3, stride=2)
            self.conv2 = Conv(width, width, 3)
            self.conv3 = Conv(width, 2 * width, 3)
        else:
            self.conv1 = Conv(3, width, 7, stride=2)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (N, channels, h/4, w/4) of pixels (N, 3, h, w)."""
        for conv in self.children():
            pixels = conv(pixels)
        return functional.max_pool2d(pixels, 3, stride=2, padding=1)


class Bottleneck(nn.Module):
    """ResNet's residual block: 1x1, 3x3, 1x1, added to its input."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, dilation: int, stride_in_1x1: bool) -> None:
        super().__init__()
        narrow = outputs // 4
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        same = inputs == outputs
        self.shortcut = None if same else Conv(inputs, outputs, 1, stride=stride, relu=False)
        self.conv1 = Conv(inputs, narrow, 1, stride=first)
        self.conv2 = Conv(narrow, narrow, 3, stride=second, dilation=dilation)
        self.conv3 = Conv(narrow, outputs, 1, relu=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, h / stride, w / stride) of features (N, inputs, h, w)."""
        kept = features if self.shortcut is None else self.shortcut(features)
        return functional.relu(self.conv3(self.conv2(self.conv1(features))) + kept)


class ResNet(nn.Module):
    """The four stages, at strides 4, 8, 16 and 32; `dilated` by 2 times (1, 2, 4, 4, …) in the last instead of 32."""

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        *,
        deep_stem: bool = False,
        stride_in_1x1: bool = False,
        dilated: bool = False,
        width: int = 64,
    ) -> None:
        """`stride_in_1x1` where a block's first convolution halves the size, not its second (Caffe's ResNet).

        `width` is a quarter of the first stage's channels.
        """
        super().__init__()
        self.channels = tuple(4 * width << index for index in range(len(blocks)))
        self.stem = Stem(deep_stem, width)
        inputs = self.stem.channels
        for index, count in enumerate(blocks):
            outputs, keeps_size = self.channels[index], index == 0 or (dilated and index == 3)
            stage = nn.Sequential()
            for block in range(count):
                stride = 2 if block == 0 and not keeps_size else 1
                dilation = 2 * (1, 2, 4)[min(block, 2)] if dilated and index == 3 else 1
                stage.append(Bottleneck(inputs, outputs, stride=stride, dilation=dilation, stride_in_1x1=stride_in_1x1))
                inputs = outputs
            self.add_module(f"res{index + 2}", stage)

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the features of res2 to res5 of pixels (N, 3, h, w)."""
        features, maps = self.stem(pixels), {}
        for name in ("res2", "res3", "res4", "res5"):
            features = self.get_submodule(name)(features)
            maps[name] = features
        return maps
