"""Bilinear interpolation with aligned corners, as several published semantic networks were trained with."""

from torch import Tensor
from torch.nn import functional as F


def aligned(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `features` (N, C, h, w) interpolated to `size`, corners aligned."""
    return F.interpolate(features, size=size, mode="bilinear", align_corners=True)
