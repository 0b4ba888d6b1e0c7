"""The whole network up to Matrix NMS: the best cells, each with its mask."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.solov2.head import STRIDES, HeadOptions, SOLOv2Head
from segrt.export.models.solov2.pyramid import FeaturePyramid, ResNet

MULTIPLE = 32
PYRAMID_CHANNELS = 256


class SOLOv2(nn.Module):
    """Backbone, pyramid and head under the names of mmdetection's SOLOv2."""

    def __init__(self, depth: int, options: HeadOptions) -> None:
        super().__init__()
        self.backbone = ResNet(depth)
        self.neck = FeaturePyramid(self.backbone.channels, PYRAMID_CHANNELS)
        self.mask_head = SOLOv2Head(PYRAMID_CHANNELS, options)

    def forward(self, pixels: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return class logits and kernels of each grid, and the mask features, of `pixels` (N, 3, h, w).

        Both sides are padded with zeros to multiples of 32.
        """
        height, width = pixels.shape[2:]
        pixels = F.pad(pixels, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        logits, kernels, features = self.mask_head(self.neck(self.backbone(pixels)))
        return logits, kernels, features


class CellSelection(nn.Module):
    """Points NMS and the best (cell, class) pairs: a choice without a threshold, of a fixed number."""

    least_areas: Tensor

    def __init__(self, grids: tuple[int, ...], count: int) -> None:
        super().__init__()
        self.count = count
        areas = [torch.full((side * side,), float(stride)) for side, stride in zip(grids, STRIDES, strict=True)]
        self.register_buffer("least_areas", torch.cat(areas))

    def forward(self, logits: list[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scores (N, K), class ids (N, K), cells (N, K) and least areas (N, K) of `logits` (N, C, S, S)."""
        peaks = [points_nms(torch.sigmoid(level)).flatten(2).transpose(1, 2) for level in logits]
        table = torch.cat(peaks, dim=1)  # (N, cells, C)
        classes = table.shape[2]
        scores, index = torch.topk(table.flatten(1), min(self.count, table.shape[1] * classes))
        cells = torch.div(index, classes, rounding_mode="floor")
        return scores, index - cells * classes, cells, self.least_areas[cells]


class SOLOv2Heads(nn.Module):
    """SOLOv2 with the heads that the decode rule `matrix_nms` wants."""

    def __init__(self, network: SOLOv2, count: int) -> None:
        super().__init__()
        self.network = network
        self.selection = CellSelection(network.mask_head.grids, count)

    def forward(self, pixels: Tensor, valid_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scores (N, K), class ids (N, K) int32, least areas (N, K), mask probabilities (N, K, h / 4, w / 4).

        Of `pixels` (N, 3, h, w), 0 where `valid_mask` (N, h, w) is false, as mmdetection pads what is normalised.
        """
        logits, kernels, features = self.network(pixels * valid_mask[:, None].float())
        scores, class_ids, cells, least_areas = self.selection(logits)
        table = torch.cat([level.flatten(2).transpose(1, 2) for level in kernels], dim=1)  # (N, cells, E)
        chosen = torch.gather(table, 1, cells[:, :, None].expand(-1, -1, table.shape[2]))
        masks = torch.matmul(chosen, features.flatten(2))
        masks = masks.reshape(*masks.shape[:2], *features.shape[2:])
        return scores, class_ids.to(torch.int32), least_areas, torch.sigmoid(masks)


def points_nms(scores: Tensor) -> Tensor:
    """Return `scores` (N, C, S, S), 0 where the cell above, to the left or between both has more."""
    peaks = F.max_pool2d(scores, 2, stride=1, padding=1)[:, :, :-1, :-1]
    return torch.where(peaks == scores, scores, torch.zeros_like(scores))
