"""ECSeg's decoder: the best cells become queries, which look at the maps around their boxes, layer by layer.

It is D-FINE's with other activations, and with places encoded once. Deformable attention is GridSample. Names of
modules are those of the authors' `ECTransformer`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.ecseg.box_refinement import BINS, Quality, distances_of_bins, logit, moved
from segrt.export.models.ecseg.ec_sizes import Config
from segrt.export.models.ecseg.mask_head import MaskHead
from segrt.export.models.shared.perceptron import Perceptron
from segrt.export.models.shared.query_selection import gather_queries

_HEADS = 8
_POINTS = (3, 6, 3)  # of a head on each map
_ANCHOR, _MARGIN, _OUTSIDE = 0.05, 1e-2, 1e4


class DeformableAttention(nn.Module):
    """A few samples of each map around a query's box, weighted."""

    num_points_scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        samples = _HEADS * sum(_POINTS)
        self.sampling_offsets = nn.Linear(channels, samples * 2)
        self.attention_weights = nn.Linear(channels, samples)
        scale = [1 / count for count in _POINTS for _ in range(count)]
        self.register_buffer("num_points_scale", torch.tensor(scale))

    def forward(self, queries: Tensor, boxes: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Return rows (N, Q, C) of queries (N, Q, C), boxes (N, Q, 4) and maps (N, C, h, w)."""
        batch, count, channels = queries.shape
        offsets = self.sampling_offsets(queries).reshape(batch, count, _HEADS, -1, 2)
        weights = self.attention_weights(queries).reshape(batch, count, _HEADS, -1).softmax(-1)
        around = boxes[:, :, None, None]
        places = around[..., :2] + offsets * self.num_points_scale[:, None] * around[..., 2:] * 0.5
        points = (2 * places - 1).transpose(1, 2).flatten(0, 1).split(_POINTS, dim=2)
        samples = [
            F.grid_sample(
                features.reshape(batch * _HEADS, channels // _HEADS, features.shape[2], features.shape[3]),
                grid,
                mode="bilinear",
                padding_mode="zeros",
                align_corners=False,
            )
            for features, grid in zip(maps, points, strict=True)
        ]
        weighted = torch.cat(samples, dim=3) * weights.transpose(1, 2).flatten(0, 1)[:, None]  # [N * heads, c, Q, P]
        rows: Tensor = weighted.sum(3).reshape(batch, channels, count).transpose(1, 2)
        return rows


class Gate(nn.Module):
    """Two rows, each let through by a gate that both set."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * channels, 2 * channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return rows (N, Q, C)."""
        one, other = torch.sigmoid(self.gate(torch.cat([first, second], dim=-1))).chunk(2, dim=-1)
        let: Tensor = self.norm(one * first + other * second)
        return let


class DecoderLayer(nn.Module):
    """Attention between queries, deformable attention to the maps, feed-forward layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.channels
        self.self_attn = nn.MultiheadAttention(channels, _HEADS, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.cross_attn = DeformableAttention(channels)
        self.gateway = Gate(channels)
        self.linear1 = nn.Linear(channels, config.decoder_hidden)
        self.linear2 = nn.Linear(config.decoder_hidden, channels)

    def forward(self, queries: Tensor, places: Tensor, boxes: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Return queries (N, Q, C)."""
        placed = queries + places
        queries = self.norm1(queries + self.self_attn(placed, placed, queries, need_weights=False)[0])
        queries = self.gateway(queries, self.cross_attn(queries + places, boxes, maps))
        mixed: Tensor = self.norm2(queries + self.linear2(F.silu(self.linear1(queries))))
        return mixed


class Refinement(nn.Module):
    """What the authors hold in `decoder.decoder`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        count = config.decoder_layers
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(count))
        self.lqe_layers = nn.ModuleList([*(nn.Identity() for _ in range(count - 1)), Quality()])
        self.segmentation_head = MaskHead(config.channels)


class Decoder(nn.Module):
    """From three maps to class logits and mask kernels of the queries; of heads, the last layer's alone."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, count = config.channels, config.decoder_layers
        self.queries = config.queries
        self.up = nn.Parameter(torch.tensor([0.5]), requires_grad=False)
        self.reg_scale = nn.Parameter(torch.tensor([4.0]), requires_grad=False)
        self.decoder = Refinement(config)
        self.enc_score_head = nn.Linear(channels, config.classes)
        self.enc_bbox_head = Perceptron((channels, channels, channels, 4), F.silu)
        self.query_pos_head = Perceptron((4, channels, channels, channels), F.silu)
        self.pre_bbox_head = Perceptron((channels, channels, channels, 4), F.silu)
        last = nn.Linear(channels, config.classes)
        self.dec_score_head = nn.ModuleList([*(nn.Identity() for _ in range(count - 1)), last])
        self.dec_bbox_head = nn.ModuleList(
            Perceptron((channels, channels, channels, 4 * BINS), F.silu) for _ in range(count)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return class logits (N, Q, classes) and queries (N, Q, C) of maps (N, C, h, w), the finest first."""
        queries, anchors = self._chosen(maps)
        boxes = torch.sigmoid(self.enc_bbox_head(queries) + anchors)
        places = self.query_pos_head(boxes).clamp(-10, 10)
        bins = distances_of_bins(self.up, self.reg_scale)
        first, before, edges = boxes, torch.zeros_like(queries), torch.zeros_like(boxes[..., :1])
        for index, layer in enumerate(self.decoder.layers):
            found = layer(queries, places, boxes, maps)
            if index == 0:
                first = torch.sigmoid(self.pre_bbox_head(found) + logit(boxes))
            edges = self.dec_bbox_head[index](found + before) + edges
            boxes = moved(first, edges, bins, self.reg_scale)
            queries = before = found
        scores = self.decoder.lqe_layers[-1](self.dec_score_head[-1](queries), edges)
        return scores, queries

    def _chosen(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the cells (N, Q, C) whose best class is surest, and their anchors' logits (N, Q, 4)."""
        cells = torch.cat([features.flatten(2).transpose(1, 2) for features in maps], dim=1)
        anchors = torch.cat([_anchors(features, 2.0**level) for level, features in enumerate(maps)])
        inside = ((anchors > _MARGIN) & (anchors < 1 - _MARGIN)).all(-1, keepdim=True)
        # Beyond all others, so that a box there is the whole picture whatever its head says.
        anchors = torch.where(inside, torch.logit(anchors), torch.full_like(anchors, _OUTSIDE))
        cells = cells * inside.to(cells.dtype)
        best = torch.topk(self.enc_score_head(cells).amax(-1), self.queries, dim=1).indices
        return gather_queries(cells, best), gather_queries(anchors[None].expand(cells.shape[0], -1, -1), best)


def _anchors(features: Tensor, scale: float) -> Tensor:
    """Return a box (h * w, 4), centre and sides, around each cell of `features` (N, C, h, w)."""
    height, width = features.shape[2], features.shape[3]
    y, x = ((torch.arange(side) + 0.5) / side for side in (height, width))
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    sides = torch.full_like(grid_x, _ANCHOR * scale)
    return torch.stack([grid_x, grid_y, sides, sides], dim=-1).flatten(0, 1).to(features.dtype)
