"""SOLO's heads: a class for every cell of five grids, and masks by the cells' locations.

`solo` has a filter for each cell, `decoupled` one for each column and one for each row, whose masks are multiplied;
`light` shares the layers below them. Names of modules are those of mmdetection's `SOLOHead`, `DecoupledSOLOHead` and
`DecoupledSOLOLightHead`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.models.solov2.head import grid_maps, resized, with_coordinates
from segrt.export.models.solov2.pyramid import Block

Maps = list[Tensor]


@dataclass(frozen=True)
class LocationOptions:
    """`grids`: cells along each side of the five grids, for small objects first; `stacked` layers of `channels`."""

    classes: int
    grids: tuple[int, ...] = (40, 36, 24, 16, 12)
    stacked: int = 7
    channels: int = 256


class LocationHead(nn.Module, ABC):
    """The category branch, and what is alike for all heads."""

    def __init__(self, inputs: int, options: LocationOptions) -> None:
        super().__init__()
        self.grids = options.grids
        self.options = options
        self.cls_convs = stack(inputs, options)
        self.conv_cls = nn.Conv2d(options.channels, options.classes, 3, padding=1)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Maps]]:
        """Return class logits (N, C, S, S) of each grid, and the maps of each that `chosen` makes masks of."""
        maps = grid_maps(levels)
        logits = [self.classify(features, side) for features, side in zip(maps, self.grids, strict=True)]
        return logits, [self.locate(features, level) for level, features in enumerate(maps)]

    def classify(self, features: Tensor, side: int) -> Tensor:
        """Return class logits (N, C, side, side) of one map (N, F, h, w)."""
        features = resized(features, (side, side))
        for block in self.cls_convs:
            features = block(features)
        logits: Tensor = self.conv_cls(features)
        return logits

    @abstractmethod
    def locate(self, features: Tensor, level: int) -> Maps:
        """Return the maps of a grid, at twice the resolution of `features` (N, F, h, w)."""

    @abstractmethod
    def chosen(self, maps: Sequence[Maps], cells: Tensor) -> Tensor:
        """Return mask probabilities (N, K, h, w) at stride 4 of `cells` (N, K), counted through all grids."""

    @abstractmethod
    def mask_of(self, maps: Sequence[Maps], level: int, y: int, x: int) -> Tensor:
        """Return mask probabilities (h, w) at stride 4 of one cell of the first picture, as mmdetection makes them."""

    @abstractmethod
    def last_mask_layers(self) -> list[nn.Module]:
        """Return the layers that `locate` ends with, whose outputs are mask logits."""


class WholeHead(LocationHead):
    """A mask filter for each cell.

    mmdetection computes the masks of all 3,872 cells, a gigabyte for its default size, and throws most away. Here a
    filter is a row of a table, and the rows of the chosen cells alone are multiplied with the features, zeros taking
    the place of rows that belong to another grid's features.
    """

    grid_of: Tensor

    def __init__(self, inputs: int, options: LocationOptions) -> None:
        super().__init__(inputs, options)
        self.mask_convs = stack(inputs + 2, options)
        self.conv_mask_list = nn.ModuleList(nn.Conv2d(options.channels, side**2, 1) for side in options.grids)
        grid_of = torch.cat([torch.full((side**2,), float(level)) for level, side in enumerate(options.grids)])
        self.register_buffer("grid_of", grid_of, persistent=False)

    def locate(self, features: Tensor, level: int) -> Maps:  # noqa: ARG002 (all grids share the layers)
        """Return the features (N, channels, 2h, 2w) that the filters are for."""
        features = with_coordinates(features)
        for block in self.mask_convs:
            features = block(features)
        return [enlarged(features)]

    def chosen(self, maps: Sequence[Maps], cells: Tensor) -> Tensor:
        """Return mask probabilities (N, K, h, w) at stride 4 of `cells` (N, K)."""
        convolutions: list[Any] = list(self.conv_mask_list)
        filters = torch.cat([conv.weight.flatten(1) for conv in convolutions])[cells]  # (N, K, channels)
        bias = torch.cat([conv.bias for conv in convolutions])[cells][:, :, None]  # (N, K, 1)
        grids = self.grid_of[cells][:, :, None]
        size = tuple(maps[0][0].shape[2:])
        by_size: dict[tuple[int, ...], list[int]] = {}
        for level, (features,) in enumerate(maps):
            by_size.setdefault(tuple(features.shape[2:]), []).append(level)
        total: Tensor | None = None
        for own_size, levels in by_size.items():
            belongs = [(grids == level).to(filters.dtype) for level in levels]
            features = torch.cat([maps[level][0] for level in levels], dim=1).flatten(2)
            logits = torch.matmul(torch.cat([filters * own for own in belongs], dim=2), features) + bias
            masks = torch.sigmoid(logits).reshape(*logits.shape[:2], *own_size)
            masks = masks * torch.stack(belongs).sum(0)[..., None]
            masks = masks if own_size == size else resized(masks, size)
            total = masks if total is None else total + masks
        assert total is not None
        return total

    def mask_of(self, maps: Sequence[Maps], level: int, y: int, x: int) -> Tensor:
        """Return mask probabilities (h, w) at stride 4 of one cell of the first picture."""
        conv: Any = self.conv_mask_list[level]
        cell = y * self.grids[level] + x
        logits = F.conv2d(maps[level][0][:1], conv.weight[cell : cell + 1], conv.bias[cell : cell + 1])
        return resized(torch.sigmoid(logits), maps[0][0].shape[2:])[0, 0]

    def last_mask_layers(self) -> list[nn.Module]:
        """Return the filters of all grids."""
        return list(self.conv_mask_list)


class CrossedHead(LocationHead):
    """What Decoupled SOLO's two heads share: a mask filter for each column and one for each row of a grid."""

    column_of: Tensor
    row_of: Tensor

    def __init__(self, inputs: int, options: LocationOptions) -> None:
        super().__init__(inputs, options)
        for name in ("conv_mask_list_x", "conv_mask_list_y"):
            convs = [nn.Conv2d(options.channels, side, 3, padding=1) for side in options.grids]
            self.add_module(name, nn.ModuleList(convs))
        columns, rows, before = [], [], 0
        for side in options.grids:
            places = torch.arange(side) + before
            columns.append(places.repeat(side))
            rows.append(places.repeat_interleave(side))
            before += side
        self.register_buffer("column_of", torch.cat(columns), persistent=False)
        self.register_buffer("row_of", torch.cat(rows), persistent=False)

    def chosen(self, maps: Sequence[Maps], cells: Tensor) -> Tensor:
        """Return mask probabilities (N, K, h, w) at stride 4 of `cells` (N, K): those of its column times its row."""
        size = maps[0][0].shape[2:]
        tables = [torch.cat([resized(torch.sigmoid(level[axis]), size) for level in maps], dim=1) for axis in (0, 1)]
        return _rows(tables[0], self.column_of[cells]) * _rows(tables[1], self.row_of[cells])

    def mask_of(self, maps: Sequence[Maps], level: int, y: int, x: int) -> Tensor:
        """Return mask probabilities (h, w) at stride 4 of one cell of the first picture."""
        column, row = (
            resized(torch.sigmoid(logits[:1, place : place + 1]), maps[0][0].shape[2:])[0, 0]
            for logits, place in zip(maps[level], (x, y), strict=True)
        )
        return column * row

    def last_mask_layers(self) -> list[nn.Module]:
        """Return the filters of all grids, those of columns first."""
        return [*self.get_submodule("conv_mask_list_x").children(), *self.get_submodule("conv_mask_list_y").children()]

    def _crossed(self, level: int, of_columns: Tensor, of_rows: Tensor) -> Maps:
        """Return the logits (N, S, h, w) of the columns and of the rows of a grid."""
        names = ("conv_mask_list_x", "conv_mask_list_y")
        found = zip(names, (of_columns, of_rows), strict=True)
        return [self.get_submodule(f"{name}.{level}")(features) for name, features in found]


class DecoupledHead(CrossedHead):
    """Columns and rows have layers of their own, which are given the coordinate along the other axis alone."""

    def __init__(self, inputs: int, options: LocationOptions) -> None:
        super().__init__(inputs, options)
        self.mask_convs_x = stack(inputs + 1, options)
        self.mask_convs_y = stack(inputs + 1, options)

    def locate(self, features: Tensor, level: int) -> Maps:
        """Return the logits (N, S, 2h, 2w) of the columns and of the rows of a grid."""
        count = features.shape[1]
        placed = with_coordinates(features)
        of_columns = placed[:, : count + 1]
        of_rows = torch.cat([features, placed[:, count + 1 :]], dim=1)
        for column_block, row_block in zip(self.mask_convs_x, self.mask_convs_y, strict=True):
            of_columns, of_rows = column_block(of_columns), row_block(of_rows)
        return self._crossed(level, enlarged(of_columns), enlarged(of_rows))


class LightHead(CrossedHead):
    """Columns and rows share their layers."""

    def __init__(self, inputs: int, options: LocationOptions) -> None:
        super().__init__(inputs, options)
        self.mask_convs = stack(inputs + 2, options)

    def locate(self, features: Tensor, level: int) -> Maps:
        """Return the logits (N, S, 2h, 2w) of the columns and of the rows of a grid."""
        features = with_coordinates(features)
        for block in self.mask_convs:
            features = block(features)
        features = enlarged(features)
        return self._crossed(level, features, features)


def stack(inputs: int, options: LocationOptions) -> nn.ModuleList:
    """Return the layers of one branch."""
    counts = [inputs, *[options.channels] * (options.stacked - 1)]
    return nn.ModuleList(Block(count, options.channels, 3, normalised=True) for count in counts)


def enlarged(features: Tensor) -> Tensor:
    """Return `features` (N, C, h, w) at twice the resolution."""
    return resized(features, (2 * features.shape[2], 2 * features.shape[3]))


def _rows(table: Tensor, chosen: Tensor) -> Tensor:
    """Return the maps (N, K, h, w) of `table` (N, R, h, w) at `chosen` (N, K), each picture its own.

    Taken from one list of all pictures' maps: gathering along an axis would need an index as large as the result.
    """
    pictures, rows, height, width = table.shape
    first = torch.arange(pictures, device=table.device)[:, None] * rows
    maps = table.flatten(0, 1)[(chosen + first).flatten()]
    return maps.reshape(-1, chosen.shape[1], height, width)


HEADS: dict[str, Callable[[int, LocationOptions], LocationHead]] = {
    "solo": WholeHead,
    "decoupled": DecoupledHead,
    "light": LightHead,
}
