"""Multi-scale RoIAlign without RoiAlign: all levels side by side in one atlas, read by a single grid_sample.

Every box reads from the pyramid level that suits its size. With dynamic shapes that is a loop over levels and an
index; here each box's level only changes where in the atlas its sampling points lie.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.family import Size

_SAMPLES = 2  # per bin and axis: torchvision's sampling_ratio
_CANONICAL_SIZE, _CANONICAL_LEVEL, _FINEST_LEVEL = 224.0, 4, 2
_EPSILON = 1e-6


class Atlas(nn.Module):
    """Puts pyramid levels of halving size into one map: the finest at the left, the others in a column beside it."""

    def __init__(self, sizes: Sequence[Size]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        column = max(width for _, width in self.sizes[1:])
        self.column = column
        tops = [0]
        for height, _ in self.sizes[1:-1]:
            tops.append(tops[-1] + height)
        self.offsets = [(0, 0), *((top, self.sizes[0][1]) for top in tops)]
        self.height = max(self.sizes[0][0], tops[-1] + self.sizes[-1][0])
        self.width = self.sizes[0][1] + column

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Return the atlas (1, C, height, width) of `levels`, each (1, C, h, w) in the given sizes."""
        beside = torch.cat([F.pad(level, (0, self.column - level.shape[3])) for level in levels[1:]], dim=2)
        parts = [F.pad(part, (0, 0, 0, self.height - part.shape[2])) for part in (levels[0], beside)]
        return torch.cat(parts, dim=3)


class SamplingPoints(nn.Module):
    """Where in the atlas each box is read. Positions need float32: half a cell matters, and half floats lose it."""

    bounds: Tensor
    levels: Tensor

    def __init__(self, atlas: Atlas, stride: int, output: int) -> None:
        super().__init__()
        self.points = output * _SAMPLES
        self.atlas_size = (atlas.height, atlas.width)
        count = len(atlas.sizes)
        # floor(4 + log2(sqrt(area) / 224) + 1e-6), clamped to the levels there are (FPN's equation 1): a box is on
        # level k or above when sqrt(area) reaches 224 * 2^(k - 4 - 1e-6).
        steps = [_FINEST_LEVEL + 1 + index - _CANONICAL_LEVEL - _EPSILON for index in range(count - 1)]
        self.register_buffer("bounds", torch.tensor([_CANONICAL_SIZE * 2.0**step for step in steps]))
        rows = [
            (1 / (stride << index), height, width, top, left)
            for index, ((height, width), (top, left)) in enumerate(zip(atlas.sizes, atlas.offsets, strict=True))
        ]
        self.register_buffer("levels", torch.tensor(rows))

    def forward(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points (1, N * S, S, 2) for grid_sample, and which count (N, S, S), for `boxes` (N, 4)."""
        sides = boxes[:, 2:] - boxes[:, :2]
        extent = torch.sqrt(sides[:, 0] * sides[:, 1])
        reached = (extent[:, None] >= self.bounds).float()
        ones = torch.ones_like(reached[:, :1])
        on_level = torch.cat([ones, reached], dim=1) - torch.cat([reached, 0 * ones], dim=1)
        scale, height, width, top, left = torch.chunk(on_level @ self.levels, 5, dim=1)
        columns, inside_x = self._axis(boxes[:, 0:1] * scale, boxes[:, 2:3] * scale, width)
        rows, inside_y = self._axis(boxes[:, 1:2] * scale, boxes[:, 3:4] * scale, height)
        x = (columns + left) * (2.0 / (self.atlas_size[1] - 1)) - 1.0
        y = (rows + top) * (2.0 / (self.atlas_size[0] - 1)) - 1.0
        count, points = x.shape
        grid = torch.stack(
            [x[:, None, :].expand(count, points, points), y[:, :, None].expand(count, points, points)], dim=-1
        )
        counts = inside_x[:, None, :] * inside_y[:, :, None]
        return grid.reshape(1, count * points, points, 2), counts

    def _axis(self, low: Tensor, high: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Return the positions (N, S) in cells between `low` and `high` (N, 1), and 1 where they count.

        A box is at least one cell long. Points more than a cell beyond the map count as 0 (RoIAlign with
        aligned=False: cell centres lie at whole numbers, y > height gives 0, otherwise the edge goes on).
        """
        share = (torch.arange(self.points, dtype=torch.float32) + 0.5) / self.points
        positions = low + (high - low).clamp(min=1.0) * share
        counts = (positions <= length).float()
        return torch.minimum(positions.clamp(min=0.0), length - 1.0), counts


class RoIPooling(nn.Module):
    """RoIAlign of boxes on an atlas: as torchvision's MultiScaleRoIAlign with sampling_ratio 2."""

    def __init__(self, atlas: Atlas, stride: int, output: int) -> None:
        super().__init__()
        self.output = output
        self.points = SamplingPoints(atlas, stride, output)

    def forward(self, atlas: Tensor, boxes: Tensor) -> Tensor:
        """Return features (N, C, output, output) of `boxes` (N, 4), in network pixels, from `atlas` (1, C, h, w)."""
        grid, counts = self.points(boxes)
        size = self.output * _SAMPLES
        sampled = F.grid_sample(atlas, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        sampled = sampled * counts.reshape(1, 1, -1, size)
        pooled = F.avg_pool2d(sampled, _SAMPLES)
        return pooled.reshape(atlas.shape[1], boxes.shape[0], self.output, self.output).transpose(0, 1)
