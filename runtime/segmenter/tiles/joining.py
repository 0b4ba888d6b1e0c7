"""What joins the results of tiles to that of the picture: one class for each technique, given tile by tile."""

from typing import Protocol, TypeVar

from segrt.runtime.preprocess.tiling import Box, Tile
from segrt.runtime.results import Result

Seen = TypeVar("Seen", contravariant=True)

SAME = 0.5
"""Of the pixels that either of two masks has where both tiles look, the share that both must have to be one thing's."""
MOSTLY = 0.5
"""Of a thing's pixels, the share that makes it lie mostly there: in another thing, or where another tile decides."""
_EDGE_SHARE = 1 / 64  # of a tile's side: masks come from grids that are coarser than pixels and often end before it


class Joining(Protocol[Seen]):
    """Takes what is seen of tiles in reading order, each once, then gives the result of the whole picture.

    What is seen are results of the tiles' sizes, or what results are made of.
    """

    def add_whole(self, seen: Seen, /) -> None:
        """Take, before all tiles, what is seen of the picture as a whole."""

    def add(self, tile: Tile, seen: Seen, /) -> None:
        """Take what is seen of a tile."""

    def finish(self) -> Result:
        """Return the picture's result, without timings."""


def inner_edges(tile: Tile, size: tuple[int, int]) -> Box:
    """Return the box that a thing must stay inside not to be cut by a tile's edges; those of the picture cut nothing.

    In pixels of the tile: (top, left, bottom, right).
    """
    top, left, bottom, right = tile.box
    down, across = (max(1, round(side * _EDGE_SHARE)) for side in tile.size)
    return (
        down if top > 0 else 0,
        across if left > 0 else 0,
        bottom - top - (down if bottom < size[0] else 0),
        right - left - (across if right < size[1] else 0),
    )


def shared_box(one: Box, other: Box) -> Box | None:
    """Return what two boxes share, or None."""
    top, left = max(one[0], other[0]), max(one[1], other[1])
    bottom, right = min(one[2], other[2]), min(one[3], other[3])
    return (top, left, bottom, right) if top < bottom and left < right else None
