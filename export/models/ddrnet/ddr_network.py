"""DDRNet: a branch at an eighth of the resolution beside one that becomes coarser, which exchange what they see.

Names of parameters are those of the authors' repository.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.shared.dual_resolution import (
    DeepPyramidPooling,
    SegmentHead,
    basic_stage,
    bottleneck_stage,
    normalised,
    resized,
    stem,
)


@dataclass(frozen=True)
class DDRNetOptions:
    """Numbers of channels, and `blocks` in each of the first four stages."""

    classes: int
    channels: int = 32
    pooling_channels: int = 128
    head_channels: int = 64
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)


class DDRNet(nn.Module):
    """Pixels (N, 3, h, w), both sides multiples of 8, to class logits (N, C, h / 8, w / 8)."""

    def __init__(self, options: DDRNetOptions) -> None:
        super().__init__()
        width, blocks = options.channels, options.blocks
        detail = width * 2
        self.conv1 = stem(width)
        self.layer1 = basic_stage(width, width, blocks[0])
        self.layer2 = basic_stage(width, width * 2, blocks[1], stride=2)
        self.layer3 = basic_stage(width * 2, width * 4, blocks[2], stride=2)
        self.layer4 = basic_stage(width * 4, width * 8, blocks[3], stride=2)
        self.compression3 = nn.Sequential(*normalised(width * 4, detail, 1))
        self.compression4 = nn.Sequential(*normalised(width * 8, detail, 1))
        self.down3 = nn.Sequential(*normalised(detail, width * 4, 3, stride=2))
        self.down4 = nn.Sequential(
            *normalised(detail, width * 4, 3, stride=2), nn.ReLU(), *normalised(width * 4, width * 8, 3, stride=2)
        )
        self.layer3_ = basic_stage(width * 2, detail, 2)
        self.layer4_ = basic_stage(detail, detail, 2)
        self.layer5_ = bottleneck_stage(detail, detail, 1)
        self.layer5 = bottleneck_stage(width * 8, width * 8, 1, stride=2)
        self.spp = DeepPyramidPooling(width * 16, options.pooling_channels, width * 4)
        self.final_layer = SegmentHead(width * 4, options.head_channels, options.classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits of both branches together; the head that training adds is left out."""
        shared = self.layer2(F.relu(self.layer1(self.conv1(pixels))))
        coarse = self.layer3(F.relu(shared))
        detail = self.layer3_(F.relu(shared))
        coarse, detail = (
            coarse + self.down3(F.relu(detail)),
            detail + resized(self.compression3(F.relu(coarse)), detail),
        )
        coarse = self.layer4(F.relu(coarse))
        detail = self.layer4_(F.relu(detail))
        coarse, detail = (
            coarse + self.down4(F.relu(detail)),
            detail + resized(self.compression4(F.relu(coarse)), detail),
        )
        detail = self.layer5_(F.relu(detail))
        context = self.spp(self.layer5(F.relu(coarse)))
        logits: Tensor = self.final_layer(resized(context, detail) + detail)
        return logits
