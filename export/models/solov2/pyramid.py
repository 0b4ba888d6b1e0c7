"""ResNet and feature pyramid: from pixels to five maps at strides 4, 8, 16, 32 and 64."""

import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

_CHANNELS = {18: (64, 128, 256, 512), 34: (64, 128, 256, 512), 50: (256, 512, 1024, 2048), 101: (256, 512, 1024, 2048)}


class Block(nn.Module):
    """Convolution, group normalisation and ReLU where asked for; `conv` and `gn` as mmcv's ConvModule names them."""

    def __init__(self, inputs: int, outputs: int, size: int, *, normalised: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=not normalised)
        self.gn = nn.GroupNorm(32, outputs) if normalised else None

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w); without normalisation there is no ReLU either."""
        features = self.conv(features)
        return features if self.gn is None else F.relu(self.gn(features))


class ResNet(nn.Module):
    """torchvision's ResNet without its classifier: the maps behind its four stages."""

    conv1: nn.Module
    bn1: nn.Module
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(self, depth: int) -> None:
        super().__init__()
        whole = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        for name in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(whole, name))
        self.channels = _CHANNELS[depth]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return maps at strides 4, 8, 16, 32."""
        features = F.max_pool2d(F.relu(self.bn1(self.conv1(pixels))), 3, stride=2, padding=1)
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
            maps.append(features)
        return maps


class FeaturePyramid(nn.Module):
    """FPN with nearest enlarging from the coarse to the fine, and every other cell of the coarsest as a fifth map."""

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(Block(count, channels, 1, normalised=False) for count in inputs)
        self.fpn_convs = nn.ModuleList(Block(channels, channels, 3, normalised=False) for _ in inputs)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return five maps (N, channels, h, w)."""
        laterals = [conv(features) for conv, features in zip(self.lateral_convs, maps, strict=True)]
        for fine in range(len(laterals) - 2, -1, -1):
            size = laterals[fine].shape[2:]
            laterals[fine] = laterals[fine] + F.interpolate(laterals[fine + 1], size=size, mode="nearest")
        levels = [conv(features) for conv, features in zip(self.fpn_convs, laterals, strict=True)]
        return [*levels, F.max_pool2d(levels[-1], 1, stride=2)]
