"""What D-FINE-seg adds to D-FINE: features for masks, and for each query the weights to add them up with.

Names of parameters are those of ArgoHA/D-FINE-seg.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

_GROUPS = 32


class MaskDecoder(nn.Module):
    """The encoder's maps, all brought to the finest one's size, added up, smoothed and enlarged twice."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, channels, 1, bias=False) for count in inputs)
        self.bn = nn.ModuleList(nn.GroupNorm(_GROUPS, channels) for _ in inputs)
        self.fusion_conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.fusion_norm = nn.GroupNorm(_GROUPS, channels)
        self.up_conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.GroupNorm(_GROUPS, channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, channels, 2h, 2w) of maps (N, C, h, w) and coarser ones."""
        found = [norm(lateral(features)) for features, lateral, norm in zip(maps, self.lateral, self.bn, strict=True)]
        total = found[0]
        size = (total.shape[2], total.shape[3])
        for coarse in found[1:]:
            total = total + F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
        total = F.relu(self.fusion_norm(self.fusion_conv(total)))
        total = F.interpolate(total, size=(size[0] * 2, size[1] * 2), mode="bilinear", align_corners=False)
        return F.relu(self.bn1(self.up_conv(total)))
