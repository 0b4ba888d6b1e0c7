"""DeepLabV3+ on Xception as PixelLib and bonlime's Keras version have it, from pixels to logits at a quarter of them.

Written from Chen et al., "Encoder-Decoder with Atrous Separable Convolution", at output stride 8. Layers bear their
names in Keras, so that their weights find them.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSIFIER = "logits_semantic"
_BACKBONE_EPSILON, _HEAD_EPSILON = 1e-3, 1e-5
_RATES = (12, 24, 36)  # of the pyramid's separable convolutions
_MIDDLE_RATE, _EXIT_RATES = 2, (2, 4)


@dataclass(frozen=True)
class XceptionOptions:
    """`middle_units`: blocks of the middle flow; `entry`, `middle`, `exit`: channels; `head`, `skip`: the decoder's."""

    classes: int = 21
    middle_units: int = 16
    entry: tuple[int, int, int, int] = (32, 64, 128, 256)
    middle: int = 728
    exit: tuple[int, int, int] = (1024, 1536, 2048)
    head: int = 256
    skip: int = 48


def _convolution(name: str, inputs: int, outputs: int, side: int = 1, *, stride: int = 1, epsilon: float) -> nn.Module:
    """Return a convolution and its normalisation; a ReLU is up to the caller."""
    conv = nn.Conv2d(inputs, outputs, side, stride=stride, padding=side // 2, bias=False)
    return nn.Sequential(OrderedDict([(name, conv), (f"{name}_BN", nn.BatchNorm2d(outputs, eps=epsilon))]))


def _separable(
    prefix: str, inputs: int, outputs: int, *, relu_inside: bool, epsilon: float, stride: int = 1, rate: int = 1
) -> nn.Module:
    """Return a 3x3 convolution of each channel and a 1x1 across them, both normalised.

    `relu_inside` puts a ReLU behind each; without it one ReLU stands before them.
    """
    depthwise = nn.Conv2d(inputs, inputs, 3, stride=stride, padding=rate, dilation=rate, groups=inputs, bias=False)
    across = nn.Conv2d(inputs, outputs, 1, bias=False)
    layers: list[tuple[str, nn.Module]] = [
        (f"{prefix}_depthwise", depthwise),
        (f"{prefix}_depthwise_BN", nn.BatchNorm2d(inputs, eps=epsilon)),
        (f"{prefix}_pointwise", across),
        (f"{prefix}_pointwise_BN", nn.BatchNorm2d(outputs, eps=epsilon)),
    ]
    if relu_inside:
        layers = [*layers[:2], ("depthwise_relu", nn.ReLU()), *layers[2:], ("pointwise_relu", nn.ReLU())]
    else:
        layers = [("relu", nn.ReLU()), *layers]
    return nn.Sequential(OrderedDict(layers))


class XceptionBlock(nn.Module):
    """Three separable convolutions, the last with the stride, beside a shortcut.

    `shortcut`: "conv" (1x1), "sum" (the input itself) or "none".
    """

    def __init__(
        self,
        prefix: str,
        inputs: int,
        outputs: tuple[int, int, int],
        *,
        shortcut: str,
        stride: int = 1,
        rate: int = 1,
        relu_inside: bool = False,
    ) -> None:
        super().__init__()
        sizes = (inputs, *outputs)
        self.first, self.second, self.third = (
            _separable(
                f"{prefix}_separable_conv{step + 1}",
                sizes[step],
                sizes[step + 1],
                relu_inside=relu_inside,
                epsilon=_BACKBONE_EPSILON,
                stride=stride if step == 2 else 1,
                rate=rate,
            )
            for step in range(3)
        )
        self.adds_input = shortcut == "sum"
        self.shortcut = (
            _convolution(f"{prefix}_shortcut", inputs, outputs[2], stride=stride, epsilon=_BACKBONE_EPSILON)
            if shortcut == "conv"
            else None
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output (N, outputs, h, w) / stride, and its second convolution's, without ReLU."""
        second = self.second(self.first(features))
        result = self.third(second)
        if self.shortcut is not None:
            result = result + self.shortcut(features)
        elif self.adds_input:
            result = result + features
        return result, second


class Xception(nn.Module):
    """Aligned Xception-65 of output stride 8."""

    def __init__(self, options: XceptionOptions) -> None:
        super().__init__()
        first, second, third, fourth = options.entry
        middle = (options.middle,) * 3
        stem = nn.Conv2d(3, first, 3, stride=2, bias=False)
        norm = nn.BatchNorm2d(first, eps=_BACKBONE_EPSILON)
        self.stem = nn.Sequential(OrderedDict([("entry_flow_conv1_1", stem), ("entry_flow_conv1_1_BN", norm)]))
        self.stem_2 = _convolution("entry_flow_conv1_2", first, second, 3, epsilon=_BACKBONE_EPSILON)
        self.entry_1 = XceptionBlock("entry_flow_block1", second, (third,) * 3, shortcut="conv", stride=2)
        self.entry_2 = XceptionBlock("entry_flow_block2", third, (fourth,) * 3, shortcut="conv", stride=2)
        self.entry_3 = XceptionBlock("entry_flow_block3", fourth, middle, shortcut="conv")
        self.middle = nn.ModuleList(
            XceptionBlock(f"middle_flow_unit_{unit + 1}", options.middle, middle, shortcut="sum", rate=_MIDDLE_RATE)
            for unit in range(options.middle_units)
        )
        wide, wider, widest = options.exit
        exit_1 = (options.middle, wide, wide)
        self.exit_1 = XceptionBlock("exit_flow_block1", options.middle, exit_1, shortcut="conv", rate=_EXIT_RATES[0])
        self.exit_2 = XceptionBlock(
            "exit_flow_block2", wide, (wider, wider, widest), shortcut="none", rate=_EXIT_RATES[1], relu_inside=True
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, C, h/8, w/8) and the skip connection (N, c, h/4, w/4) of `pixels` (N, 3, h, w)."""
        # TensorFlow's "same" padding of an even side puts the odd row and column behind.
        features = F.relu(self.stem(F.pad(pixels, (0, 1, 0, 1))))
        features = F.relu(self.stem_2(features))
        features, _ = self.entry_1(features)
        features, skip = self.entry_2(features)
        features, _ = self.entry_3(features)
        for block in self.middle:
            features, _ = block(features)
        features, _ = self.exit_1(features)
        features, _ = self.exit_2(features)
        return features, skip


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: the whole picture's mean, a 1x1 and three separable convolutions, projected."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pooled = _convolution("image_pooling", inputs, outputs, epsilon=_HEAD_EPSILON)
        self.plain = _convolution("aspp0", inputs, outputs, epsilon=_HEAD_EPSILON)
        self.dilated = nn.ModuleList(
            _separable(f"aspp{index + 1}", inputs, outputs, relu_inside=True, epsilon=_HEAD_EPSILON, rate=rate)
            for index, rate in enumerate(_RATES)
        )
        self.projection = _convolution("concat_projection", 5 * outputs, outputs, epsilon=_HEAD_EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        mean = F.relu(self.pooled(features.mean((2, 3), keepdim=True)))
        branches = [mean.expand(-1, -1, *features.shape[2:]), F.relu(self.plain(features))]
        branches += [branch(features) for branch in self.dilated]
        return F.relu(self.projection(torch.cat(branches, dim=1)))


class PixelLibDeepLab(nn.Module):
    """The whole network: pixels and valid mask → logits."""

    def __init__(self, options: XceptionOptions) -> None:
        super().__init__()
        self.backbone = Xception(options)
        self.pyramid = Pyramid(options.exit[2], options.head)
        self.skip = _convolution("feature_projection0", options.entry[3], options.skip, epsilon=_HEAD_EPSILON)
        self.decoder = nn.Sequential(
            *(
                _separable(f"decoder_conv{step}", count, options.head, relu_inside=True, epsilon=_HEAD_EPSILON)
                for step, count in enumerate((options.head + options.skip, options.head))
            )
        )
        self.head = nn.Sequential(OrderedDict([(CLASSIFIER, nn.Conv2d(options.head, options.classes, 1))]))

    @property
    def classifier(self) -> nn.Module:
        """The last layer."""
        return self.head[0]

    def forward(self, pixels: Tensor, valid_mask: Tensor) -> Tensor:
        """Return logits (N, C, h/4, w/4) of `pixels` (N, 3, h, w), 0 where `valid_mask` (N, h, w) is false.

        Both sides must be multiples of 8.
        """
        features, skip = self.backbone(pixels * valid_mask[:, None].float())
        features = F.interpolate(self.pyramid(features), skip.shape[2:], mode="bilinear", align_corners=True)
        features = torch.cat([features, F.relu(self.skip(skip))], dim=1)
        logits: Tensor = self.head(self.decoder(features))
        return logits
