"""Class maps of tiles as one, by the scores of all views: where tiles overlap, one fades into the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import ScoreView, blend_map
from segrt.runtime.preprocess.tiling import Box, Tile
from segrt.runtime.results import Label, SemanticResult
from segrt.runtime.segmenter.tiles.score_grids import ScoreGrid, ScoreRule

_Weights = npt.NDArray[np.float32]


@dataclass
class BlendedJoining:
    """Blends the scores of the tiles, and of the whole view, of a picture of `size` (H, W).

    What no further tile shows is decided at once: the grids of two rows of tiles are all that is kept. What scores are,
    and how views are taken together, is told by `segrt.runtime.postproc.blend_map`.
    """

    size: tuple[int, int]
    labels: tuple[Label, ...]
    rule: ScoreRule
    threads: int = 0
    _map: npt.NDArray[Any] | None = field(default=None, init=False)
    _whole: ScoreGrid | None = field(default=None, init=False)
    _kept: list[tuple[Tile, ScoreGrid]] = field(default_factory=list, init=False)
    _decided: int = field(default=0, init=False)  # rows
    _channels: int = field(default=0, init=False)
    _nonfinite: int = field(default=0, init=False)

    def add_whole(self, grid: ScoreGrid) -> None:
        """Take the scores of the whole picture, shrunken, before all tiles."""
        self._whole = grid
        self._nonfinite += grid.nonfinite_heads

    def add(self, tile: Tile, grid: ScoreGrid) -> None:
        """Take the scores of a tile; tiles come row by row."""
        top = tile.box[0]
        if self._kept and top > self._kept[-1][0].box[0]:
            self._decide(top)
            self._kept = [(kept, scores) for kept, scores in self._kept if kept.box[2] > top]
        self._kept.append((tile, grid))
        self._channels = len(grid.scores) if self.rule.class_ids is None else 1
        self._nonfinite += grid.nonfinite_heads

    def finish(self) -> SemanticResult:
        """Return the map."""
        self._decide(self.size[0])
        assert self._map is not None
        return SemanticResult.decided(self._map, self.labels, classes=self._channels, nonfinite_heads=self._nonfinite)

    def _decide(self, bottom: int) -> None:
        """Decide the rows down to `bottom`, which no further tile shows."""
        for region in self._regions(self._decided, bottom):
            seen = [(tile.box, grid) for tile, grid in self._kept if _covers(tile.box, region)]
            rows = _fades({(box[0], box[2]) for box, _ in seen}, (region[0], region[2]), self.size[0])
            columns = _fades({(box[1], box[3]) for box, _ in seen}, (region[1], region[3]), self.size[1])
            views = [
                _view(grid, box, region, rows.get((box[0], box[2])), columns.get((box[1], box[3])))
                for box, grid in seen
            ]
            whole = None if self._whole is None else _view(self._whole, (0, 0, *self.size), region)
            classes = blend_map(
                views,
                (region[2] - region[0], region[3] - region[1]),
                whole=whole,
                things=self._things(len(views[0].scores)) if whole else (),
                shares=self.rule.shares,
                threads=self.threads,
            )
            self._paint(region, classes)
        self._decided = bottom

    def _paint(self, region: Box, classes: npt.NDArray[Any]) -> None:
        if self.rule.class_ids is not None:
            classes = np.array(self.rule.class_ids, np.uint8)[classes]
        if self._map is None:
            self._map = np.empty(self.size, classes.dtype)
        top, left, bottom, right = region
        self._map[top:bottom, left:right] = classes

    def _regions(self, top: int, bottom: int) -> Iterator[Box]:
        """Yield the parts of these rows in each of which the same tiles are seen."""
        boxes = [tile.box for tile, _ in self._kept]
        rows = sorted({top, bottom, *(edge for box in boxes for edge in (box[0], box[2]) if top < edge < bottom)})
        for first, last in pairwise(rows):
            columns = sorted({edge for box in boxes for edge in (box[1], box[3]) if box[0] <= first < box[2]})
            for left, right in pairwise(columns):
                yield first, left, last, right

    def _things(self, channels: int) -> list[bool]:
        ids = self.rule.class_ids or range(channels)
        return [place < len(self.labels) and self.labels[place].isthing for place in ids]


def _covers(box: Box, region: Box) -> bool:
    return box[0] <= region[0] and box[1] <= region[1] and region[2] <= box[2] and region[3] <= box[3]


def _fades(spans: set[tuple[int, int]], part: tuple[int, int], length: int) -> dict[tuple[int, int], _Weights]:
    """Return how much each of the spans of an axis counts at the pixels of `part`, which all of them cover.

    A span counts by how far a pixel is from its nearest end, unless that is the picture's. All add up to 1; one span
    alone counts wholly, without weights.
    """
    if len(spans) == 1:
        return {}
    centers = np.arange(*part) + 0.5
    from_ends = {
        (begin, end): np.minimum(
            centers - begin if begin > 0 else np.full(len(centers), float(length)),
            end - centers if end < length else np.full(len(centers), float(length)),
        )
        for begin, end in sorted(spans)
    }
    total = np.sum(list(from_ends.values()), axis=0)
    return {span: np.ascontiguousarray(share / total, np.float32) for span, share in from_ends.items()}


def _view(
    grid: ScoreGrid, box: Box, region: Box, row_weights: _Weights | None = None, column_weights: _Weights | None = None
) -> ScoreView:
    """Return what a grid that shows `box` shows of `region`."""
    top, left, bottom, right = grid.window
    down, across = (bottom - top) / (box[2] - box[0]), (right - left) / (box[3] - box[1])
    window = (
        top + (region[0] - box[0]) * down,
        left + (region[1] - box[1]) * across,
        min(top + (region[2] - box[0]) * down, bottom),
        min(left + (region[3] - box[1]) * across, right),
    )
    return ScoreView(grid.scores, window, row_weights, column_weights)
