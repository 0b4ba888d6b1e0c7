"""Class maps of tiles as one, of networks that give classes and no scores: a pixel's is that of the nearer tile."""

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.preprocess.tiling import Tile
from segrt.runtime.results import Label, Result, SemanticResult
from segrt.runtime.segmenter.tiles.whole_view import classes_of_both


@dataclass
class ClassesJoining:
    """Paints each tile's core, of a picture of `size` (H, W), into one class map of the tiles' own type."""

    size: tuple[int, int]
    labels: tuple[Label, ...]
    _map: npt.NDArray[Any] | None = field(default=None, init=False)
    _whole: SemanticResult | None = field(default=None, init=False)
    _nonfinite: int = field(default=0, init=False)

    def add_whole(self, result: Result) -> None:
        """Take what the network sees of the whole picture, shrunken; see `classes_of_both`."""
        self._whole = cast("SemanticResult", result)

    def add(self, tile: Tile, result: Result) -> None:
        """Take the classes of the tile's core."""
        classes = cast("SemanticResult", result).class_map
        if self._map is None:
            self._map = np.empty(self.size, classes.dtype)
        top, left, bottom, right = tile.core
        down, across = tile.box[0], tile.box[1]
        self._map[top:bottom, left:right] = classes[top - down : bottom - down, left - across : right - across]
        self._nonfinite += result.nonfinite_heads

    def finish(self) -> SemanticResult:
        """Return the map."""
        assert self._map is not None
        tiles = SemanticResult.decided(
            self._map, self.labels, classes=len(self.labels), nonfinite_heads=self._nonfinite
        )
        return tiles if self._whole is None else classes_of_both(self._whole, tiles)
