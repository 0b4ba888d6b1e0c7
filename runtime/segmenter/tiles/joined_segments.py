"""Segments of tiles as those of the picture: things joined across seams by their pixels, stuff by its class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import count_ids, count_overlaps
from segrt.runtime.preprocess.tiling import Box, Tile
from segrt.runtime.results import Label, PanopticResult, Result, Segment
from segrt.runtime.results.remap import remap
from segrt.runtime.segmenter.tiles.joining import MOSTLY, SAME, inner_edges, shared_box
from segrt.runtime.segmenter.tiles.map_bands import bands, measured, smallest_type
from segrt.runtime.segmenter.tiles.same_things import SameThings
from segrt.runtime.segmenter.tiles.whole_view import segments_of_both


@dataclass(frozen=True)
class _Known:
    """A segment of a tile, by its number in the picture's map: `area` in the tile, `cut` by one of its edges."""

    class_id: int
    isthing: bool
    score: float
    area: int
    cut: bool


class SegmentsJoining:
    """Joins segments of a picture of `size` (H, W), in one map of numbers that is painted tile by tile.

    Stuff of one class is one segment. Two things of one class are one where they agree in what both tiles see: their
    IoU there is `SAME` or more. Each pixel is the nearer tile's; but a thing that no edge of a tile cuts is painted
    whole, over stuff, and one that is cut and lies mostly elsewhere is left to the tile there.
    """

    def __init__(self, size: tuple[int, int], labels: tuple[Label, ...]) -> None:
        self._size, self._labels = size, labels
        self._map: npt.NDArray[Any] = np.zeros(size, np.uint16)
        self._known: list[_Known] = []  # number - 1 → segment
        self._same = SameThings()
        self._stuff: dict[int, int] = {}  # class → number
        self._open: list[tuple[Box, list[int]]] = []  # tiles that later ones may still overlap, with their numbers
        self._tiles = 0
        self._nonfinite = 0
        self._whole: PanopticResult | None = None

    def add_whole(self, result: Result) -> None:
        """Take what the network sees of the whole picture, shrunken; see `segments_of_both`."""
        self._whole = cast("PanopticResult", result)

    def add(self, tile: Tile, result: Result) -> None:
        """Paint the segments of a tile."""
        panoptic = cast("PanopticResult", result)
        numbers = {segment.id: self._numbered(segment, tile) for segment in panoptic.segments}
        self._widen()
        fresh = remap(panoptic.stored_ids, numbers, default=0, dtype=self._map.dtype)
        part = self._map[tile.rows, tile.columns]
        others = [(shared_box(tile.box, box), theirs) for box, theirs in self._open]
        boxes = [box for box, _ in others if box is not None]
        if boxes:
            seen = np.zeros(tile.size, np.bool_)
            things = [number for number in numbers.values() if self._known[number - 1].isthing]
            near = sorted(
                {number for box, theirs in others if box is not None for number in theirs} | {*numbers.values()}
            )
            pairs: list[tuple[float, int, int]] = []
            for top, left, bottom, right in boxes:
                both = (slice(top - tile.box[0], bottom - tile.box[0]), slice(left - tile.box[1], right - tile.box[1]))
                seen[both] = True
                pairs += self._agreeing(part[both], fresh[both], things, near)
            for _, number, thing in sorted(pairs, reverse=True):
                self._same.link(number - 1, thing - 1)
            np.copyto(part, fresh, where=self._taken(tile, part, fresh, seen, near))
        else:
            part[...] = fresh
        self._open = [(box, theirs) for box, theirs in self._open if box[2] > tile.box[0]]
        self._open.append((tile.box, list(numbers.values())))
        self._tiles += 1
        self._nonfinite += result.nonfinite_heads

    def finish(self) -> PanopticResult:
        """Return the picture's segments, numbered from 1 on, in a map of the smallest type that holds them."""
        roots = np.zeros(len(self._known) + 1, np.int64)
        for number in range(1, len(roots)):
            roots[number] = self._same.root(number - 1) + 1
        pixels = self._counts(self._map, range(1, len(roots)))
        areas = np.bincount(roots, weights=pixels, minlength=len(roots))
        left = [number for number in range(1, len(roots)) if areas[number]]
        dtype = smallest_type(len(left))
        final = np.zeros(len(roots), dtype)
        final[left] = np.arange(1, len(left) + 1)
        # In its own place where the type stays: a large map is there once.
        ids = self._map if self._map.dtype == dtype else np.empty(self._size, dtype)
        told_of = final[roots]
        for rows in bands(self._size):
            ids[rows] = told_of[self._map[rows]]
        self._map = np.zeros((0, 0), np.uint16)
        members: dict[int, list[_Known]] = {}
        for known, root in zip(self._known, roots[1:].tolist(), strict=True):
            members.setdefault(root, []).append(known)
        counts, extents = measured(ids, len(left))
        segments = [
            _segment(told, members[number], int(counts[told]), extents[told], self._labels)
            for told, number in enumerate(left, 1)
        ]
        tiles = PanopticResult.decided(ids, segments, self._labels, nonfinite_heads=self._nonfinite)
        if self._whole is None:
            return tiles
        return segments_of_both(self._whole, tiles, [all(known.cut for known in members[number]) for number in left])

    def _numbered(self, segment: Segment, tile: Tile) -> int:
        """Return the number of a tile's segment: a new one for a thing, that of the class for stuff."""
        if not segment.isthing and segment.class_id in self._stuff:
            number = self._stuff[segment.class_id]
            before = self._known[number - 1]
            area = before.area + segment.area
            score = (before.score * before.area + segment.score * segment.area) / max(area, 1)
            self._known[number - 1] = _Known(segment.class_id, False, score, area, True)
            return number
        top, left, bottom, right = inner_edges(tile, self._size)
        x, y, width, height = segment.bbox
        cut = y < top or x < left or y + height > bottom or x + width > right
        self._known.append(_Known(segment.class_id, segment.isthing, segment.score, segment.area, cut))
        number = self._same.add(self._tiles, whole=not cut) + 1
        if not segment.isthing:
            self._stuff[segment.class_id] = number
        return number

    def _widen(self) -> None:
        """Give the map a type that holds all numbers."""
        if len(self._known) > np.iinfo(self._map.dtype).max:
            self._map = self._map.astype(np.int32)

    def _agreeing(
        self, part: npt.NDArray[Any], fresh: npt.NDArray[Any], things: list[int], near: Sequence[int]
    ) -> list[tuple[float, int, int]]:
        """Return which things of the map and of a tile agree where two tiles look: how surely, and both numbers."""
        present = np.flatnonzero(self._counts(part, near)).tolist()
        before = [number for number in present if self._known[number - 1].isthing]
        if not before or not things:
            return []
        counts = count_overlaps(part, fresh, before, things)
        # What several tiles have painted of one thing is looked at together.
        roots, groups = np.unique([self._same.root(number - 1) + 1 for number in before], return_inverse=True)
        united = np.zeros((len(roots), counts.shape[1]), np.int64)
        np.add.at(united, groups, counts[1:])
        shared = united[:, 1:]
        iou = shared / np.maximum(united.sum(1)[:, None] + counts[:, 1:].sum(0)[None] - shared, 1)
        pairs = []
        for i, j in np.argwhere(iou >= SAME).tolist():
            one, other = self._known[int(roots[i]) - 1], self._known[things[j] - 1]
            if one.class_id == other.class_id:
                pairs.append((float(iou[i, j]) * min(one.score, other.score), int(roots[i]), things[j]))
        return pairs

    def _taken(
        self,
        tile: Tile,
        part: npt.NDArray[Any],
        fresh: npt.NDArray[Any],
        seen: npt.NDArray[np.bool_],
        near: Sequence[int],
    ) -> npt.NDArray[np.bool_]:
        """Return where a tile's numbers `fresh` replace those of `part`, the map there; `seen` is what others saw.

        `near` are the numbers that there can be.
        """
        top, left, bottom, right = tile.core
        down, across = tile.box[0], tile.box[1]
        core = (slice(top - down, bottom - down), slice(left - across, right - across))
        taken = ~seen
        taken[core] = True
        inside, before_inside = self._counts(fresh[core], near), self._counts(part[core], near)
        thing, whole, elsewhere = self._claims(self._counts(fresh, near) - inside, near, own=True)
        before_thing, before_whole, before_elsewhere = self._claims(before_inside, near, own=False)
        # A cut thing that lies mostly where the other tile decides is that tile's to see; a whole one stays whole.
        if elsewhere.any():
            taken &= ~(elsewhere[fresh] & seen)
        if before_elsewhere.any():
            taken |= before_elsewhere[part]
        if before_whole.any():
            taken[core] &= ~(before_whole[part[core]] & ~thing[fresh[core]])
        if whole.any():
            taken |= whole[fresh] & seen & ~before_thing[part]
        return taken

    def _counts(self, numbers: npt.NDArray[Any], near: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the pixels of each number, as far as it is one of `near`."""
        counts = np.zeros(len(self._known) + 1, np.int64)
        counts[near] = count_ids(numbers, near)[1:]
        return counts

    def _claims(
        self, outside: npt.NDArray[np.int64], near: Sequence[int], *, own: bool
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return for each number whether it is a thing; a whole one that reaches out; a cut one that is mostly outside.

        `outside` has the pixels that lie where another tile decides: those of the present tile (`own`), or where it
        decides itself. What both tiles have is nobody's claim.
        """
        thing, whole, elsewhere = (np.zeros(len(outside), np.bool_) for _ in range(3))
        thing[near] = [self._known[number - 1].isthing for number in near]
        for number in np.flatnonzero(outside).tolist():
            known = self._known[number - 1]
            tiles = self._same.tiles(number - 1)
            if known.isthing and (own or self._tiles not in tiles):
                whole[number] = not known.cut if own else self._same.is_whole(number - 1)
                elsewhere[number] = not whole[number] and len(tiles) == 1 and outside[number] > MOSTLY * known.area
        return thing, whole, elsewhere


def _segment(
    told: int, members: Sequence[_Known], area: int, extent: npt.NDArray[np.int64], labels: Sequence[Label]
) -> Segment:
    """Return a segment of the id `told`, made of what tiles have seen of it; its score is the best of theirs."""
    known, score = members[0], max(member.score for member in members)
    x0, y0, x1, y1 = (int(edge) for edge in extent)
    bbox = (x0, y0, x1 - x0, y1 - y0)
    return Segment(told, known.class_id, known.isthing, score, area, bbox, labels[known.class_id].name)
