"""Adaptive average pooling for graphs of a fixed size: two products with small matrices, whatever the sizes are.

Written out as torch's exporter writes it, pooling to sizes that do not divide the map becomes dozens of gathers.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def adaptive_average(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the means (N, C, *size) of `features` (N, C, h, w), as torch's `adaptive_avg_pool2d` cuts the map."""
    height, width = int(features.shape[2]), int(features.shape[3])
    if height % size[0] == 0 and width % size[1] == 0:
        return F.avg_pool2d(features, (height // size[0], width // size[1]))
    rows = averaging(height, size[0]).to(features)
    columns = averaging(width, size[1]).to(features)
    return torch.matmul(torch.matmul(rows, features), columns.T)


def averaging(length: int, cells: int) -> Tensor:
    """Return the matrix (cells, length) whose rows average what each cell covers.

    Cell i reaches from floor(i l / c) to ceil((i + 1) l / c), so that neighbours may share a row.
    """
    rows = []
    for cell in range(cells):
        first, behind = cell * length // cells, -(-(cell + 1) * length // cells)
        rows.append([1 / (behind - first) if first <= place < behind else 0.0 for place in range(length)])
    return torch.tensor(rows)
