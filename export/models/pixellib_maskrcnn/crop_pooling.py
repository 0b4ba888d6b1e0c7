"""TensorFlow's crop_and_resize on the level of the pyramid that suits each box, without CropAndResize: one GridSample.

One point a bin, the outermost on the box's own edges. The levels lie side by side in an atlas (see torchvision's Mask
R-CNN); a box's level only changes where in it the points lie. Points beyond the map's last cell by a rounding error
count as on it; TensorFlow takes 0 there.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.family import Size
from segrt.export.models.maskrcnn.roi_pooling import Atlas

_CANONICAL_SIZE, _CANONICAL_LEVEL, _FINEST_LEVEL = 224.0, 4, 2


class CropPoints(nn.Module):
    """Where in the atlas each box is read. Positions need float32: half a cell matters, and half floats lose it."""

    bounds: Tensor
    levels: Tensor

    def __init__(self, atlas: Atlas, size: Size, output: int) -> None:
        """`size` is that of the network's input (h, w)."""
        super().__init__()
        self.points = output
        self.atlas_size = (atlas.height, atlas.width)
        height, width = size
        # Level 4 + round(log2(sqrt(normalised area) * sqrt(h * w) / 224)), clamped to the levels there are.
        sides = (height - 1.0) * (width - 1.0) / (height * width)
        steps = [_FINEST_LEVEL + 1 + index - _CANONICAL_LEVEL - 0.5 for index in range(len(atlas.sizes) - 1)]
        self.register_buffer("bounds", torch.tensor([(_CANONICAL_SIZE * 2.0**step) ** 2 * sides for step in steps]))
        rows = [
            ((rows - 1) / (height - 1), (columns - 1) / (width - 1), top, left)
            for (rows, columns), (top, left) in zip(atlas.sizes, atlas.offsets, strict=True)
        ]
        self.register_buffer("levels", torch.tensor(rows, dtype=torch.float32))
        self.register_buffer("ends", torch.tensor([(r - 1.0, c - 1.0) for r, c in atlas.sizes]))

    ends: Tensor

    def forward(self, boxes: Tensor) -> Tensor:
        """Return the points (1, N * S, S, 2) for grid_sample of `boxes` (N, 4)."""
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        reached = (area[:, None] >= self.bounds).float()
        ones = torch.ones_like(reached[:, :1])
        on_level = torch.cat([ones, reached], dim=1) - torch.cat([reached, 0 * ones], dim=1)
        down, across, top, left = torch.chunk(on_level @ self.levels, 4, dim=1)
        last_row, last_column = torch.chunk(on_level @ self.ends, 2, dim=1)
        columns = torch.minimum(self._axis(boxes[:, 0:1] * across, boxes[:, 2:3] * across), last_column)
        rows = torch.minimum(self._axis(boxes[:, 1:2] * down, boxes[:, 3:4] * down), last_row)
        x = (columns + left) * (2.0 / (self.atlas_size[1] - 1)) - 1.0
        y = (rows + top) * (2.0 / (self.atlas_size[0] - 1)) - 1.0
        count, points = x.shape
        grid = torch.stack(
            [x[:, None, :].expand(count, points, points), y[:, :, None].expand(count, points, points)], dim=-1
        )
        return grid.reshape(1, count * points, points, 2)

    def _axis(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the positions (N, S) in cells from `low` to `high` (N, 1), both included."""
        share = torch.arange(self.points, dtype=torch.float32) / (self.points - 1)
        return low + (high - low) * share


class CropPooling(nn.Module):
    """Features of boxes, (N, 4) from the first pixel's centre to the last one's, in network pixels."""

    def __init__(self, atlas: Atlas, size: Size, output: int) -> None:
        super().__init__()
        self.output = output
        self.points = CropPoints(atlas, size, output)

    def forward(self, atlas: Tensor, boxes: Tensor) -> Tensor:
        """Return features (N, C, output, output) of `boxes` (N, 4) from `atlas` (1, C, h, w)."""
        sampled = F.grid_sample(atlas, self.points(boxes), mode="bilinear", padding_mode="zeros", align_corners=True)
        return sampled.reshape(atlas.shape[1], boxes.shape[0], self.output, self.output).transpose(0, 1)
