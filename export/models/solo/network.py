"""SOLO up to Matrix NMS: the best cells, each with its mask."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.solo.location_heads import HEADS, LocationOptions, Maps
from segrt.export.models.solov2.network import MULTIPLE, PYRAMID_CHANNELS, CellSelection
from segrt.export.models.solov2.pyramid import FeaturePyramid, ResNet


class SOLO(nn.Module):
    """Backbone, pyramid and a head of `HEADS` under the names of mmdetection's SOLO."""

    def __init__(self, depth: int, head: str, options: LocationOptions) -> None:
        super().__init__()
        self.backbone = ResNet(depth)
        self.neck = FeaturePyramid(self.backbone.channels, PYRAMID_CHANNELS)
        self.mask_head = HEADS[head](PYRAMID_CHANNELS, options)

    def forward(self, pixels: Tensor) -> tuple[list[Tensor], list[Maps]]:
        """Return class logits of each grid and the maps that masks are made of, of `pixels` (N, 3, h, w).

        Both sides are padded with zeros to multiples of 32.
        """
        height, width = pixels.shape[2:]
        pixels = F.pad(pixels, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        logits, maps = self.mask_head(self.neck(self.backbone(pixels)))
        return logits, maps


class SOLOHeads(nn.Module):
    """SOLO with the heads that the decode rule `matrix_nms` wants."""

    def __init__(self, network: SOLO, count: int) -> None:
        super().__init__()
        self.network = network
        self.selection = CellSelection(network.mask_head.grids, count)

    def forward(self, pixels: Tensor, valid_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scores (N, K), class ids (N, K) int32, least areas (N, K), mask probabilities (N, K, h / 4, w / 4).

        Of `pixels` (N, 3, h, w), 0 where `valid_mask` (N, h, w) is false, as mmdetection pads what is normalised.
        """
        logits, maps = self.network(pixels * valid_mask[:, None].float())
        scores, class_ids, cells, least_areas = self.selection(logits)
        return scores, class_ids.to(torch.int32), least_areas, self.network.mask_head.chosen(maps, cells)
