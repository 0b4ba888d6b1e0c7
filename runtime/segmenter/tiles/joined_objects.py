"""Objects of tiles as those of the picture: what meets where tiles overlap is joined or suppressed by its pixels."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns, Rle
from segrt.runtime.preprocess.tiling import Box, Tile
from segrt.runtime.results import InstanceResult, Label, Result
from segrt.runtime.segmenter.tiles.joining import MOSTLY, SAME, inner_edges, shared_box
from segrt.runtime.segmenter.tiles.same_things import SameThings
from segrt.runtime.segmenter.tiles.whole_view import objects_of_both


@dataclass(frozen=True)
class _Seen:
    """The objects of a tile: `first` is the number of its first one, `areas` and `cut` are by object."""

    tile: Tile
    result: InstanceResult
    first: int
    areas: npt.NDArray[np.int64]
    cut: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Meeting:
    """Two objects of one class that share pixels: how sure it is that they are one, and of how much of each it is."""

    one: int
    other: int
    worth: float
    iou: float
    shares: tuple[float, float]


class ObjectsJoining:
    """Joins objects of a picture of `size` (H, W).

    Two of one class, from tiles that overlap, are one where their masks agree in what both tiles see: their IoU there
    is `SAME` or more. Of such a group the best one that no tile's edge cuts is the object; where all are cut, it is all
    of them together, each with the pixels for which its tile decides. A cut object that lies mostly inside another
    tile's is a piece of that one and goes. Masks are kept as run lengths: the picture's size costs nothing.
    """

    def __init__(self, size: tuple[int, int], labels: tuple[Label, ...]) -> None:
        self._size, self._labels = size, labels
        self._seen: list[_Seen] = []
        self._open: list[tuple[_Seen, MaskRuns]] = []  # tiles that later ones may still overlap
        self._meetings: list[_Meeting] = []
        self._things = SameThings()
        self._whole: InstanceResult | None = None

    def add_whole(self, result: Result) -> None:
        """Take what the network sees of the whole picture, shrunken; see `objects_of_both`."""
        self._whole = cast("InstanceResult", result)

    def add(self, tile: Tile, result: Result) -> None:
        """Take the objects of a tile, and note which of them meet those of earlier ones."""
        objects = cast("InstanceResult", result)
        runs = MaskRuns.of_rles(objects.rles)
        areas, extents = runs.measure()
        top, left, bottom, right = inner_edges(tile, self._size)
        cut = (extents[:, 0] < left) | (extents[:, 1] < top) | (extents[:, 2] > right) | (extents[:, 3] > bottom)
        seen = _Seen(tile, objects, len(self._things), areas, cut)
        for _ in range(len(objects)):
            self._things.add(len(self._seen))
        runs = runs.moved(tile.box[1], tile.box[0])
        self._open = [(other, masks) for other, masks in self._open if other.tile.box[2] > tile.box[0]]
        for other, masks in self._open:
            box = shared_box(other.tile.box, tile.box)
            if box is not None:
                self._meetings += _meetings(other, masks, seen, runs, box)
        self._seen.append(seen)
        self._open.append((seen, runs))

    def finish(self) -> InstanceResult:
        """Return the picture's objects, best score first."""
        for meeting in sorted(self._meetings, key=lambda meeting: -meeting.worth):
            if meeting.iou >= SAME:
                self._things.link(meeting.one, meeting.other)
        scores = np.concatenate([seen.result.scores for seen in self._seen])
        cut = np.concatenate([seen.cut for seen in self._seen])
        groups: dict[int, list[int]] = {}
        for number in range(len(self._things)):
            groups.setdefault(self._things.root(number), []).append(number)
        for number in self._fragments(groups, scores, cut):
            del groups[number]
        chosen = {first: _chosen(members, scores, cut) for first, members in groups.items()}
        best = {first: float(scores[members].max()) for first, members in groups.items()}
        order = sorted(chosen, key=lambda first: -best[first])
        tiles = self._result(chosen, best, order)
        if self._whole is None:
            return tiles
        return objects_of_both(self._whole, tiles, np.array([bool(cut[chosen[first]].all()) for first in order], bool))

    def _fragments(
        self, groups: dict[int, list[int]], scores: npt.NDArray[np.float32], cut: npt.NDArray[np.bool_]
    ) -> set[int]:
        """Return the objects that are pieces of another group's: cut, of no better score, and mostly inside of it.

        Of two of the same score the one that was seen first is the better. What is a piece itself has no pieces.
        """

        def rank(number: int) -> tuple[float, int]:
            return float(scores[number]), -number

        inside: list[tuple[int, int]] = []  # (piece, whole)
        for meeting in self._meetings:
            pairs = ((meeting.one, meeting.other), (meeting.other, meeting.one))
            for (piece, whole), share in zip(pairs, meeting.shares, strict=True):
                alone = len(groups.get(piece, ())) == 1
                if alone and cut[piece] and share >= MOSTLY and rank(piece) < rank(whole):
                    inside.append((piece, whole))
        found: set[int] = set()
        # The best first: whether an object goes itself is known before its pieces are looked at.
        for piece, whole in sorted(inside, key=lambda pair: rank(pair[1]), reverse=True):
            if whole not in found:
                found.add(piece)
        return found

    def _result(self, chosen: dict[int, list[int]], scores: dict[int, float], order: list[int]) -> InstanceResult:
        """Make the objects of the chosen ones of each group, in this order."""
        group_of = {number: first for first, members in chosen.items() for number in members}
        boxes: dict[int, npt.NDArray[np.float32]] = {}
        classes: dict[int, int] = {}
        rles: dict[int, Rle] = {}
        parts: dict[int, list[npt.NDArray[np.int32]]] = {}
        places = np.repeat(np.arange(len(self._seen)), [len(seen.result) for seen in self._seen])
        for place, seen in enumerate(self._seen):
            wanted = [index for index in range(len(seen.result)) if seen.first + index in group_of]
            top, left = seen.tile.box[:2]
            runs = MaskRuns.of_rles([seen.result.rles[index] for index in wanted]).moved(left, top)
            whole = []
            for position, index in enumerate(wanted):
                first = group_of[seen.first + index]
                box = seen.result.boxes[index] + np.array([left, top, left, top], np.float32)
                boxes[first] = _around(boxes[first], box) if first in boxes else box
                classes[first] = int(seen.result.class_ids[index])
                if len(chosen[first]) == 1:
                    whole.append((first, position))
                    continue
                own = runs.runs[runs.starts[position] : runs.starts[position + 1]]
                for other in places[chosen[first]].tolist():
                    if other != place:
                        own = _outside(own, self._seen[other].tile.core)
                parts.setdefault(first, []).append(own)
            codes = runs.taken([position for _, position in whole]).codes(self._size)
            rles |= {first: code for (first, _), code in zip(whole, codes, strict=True)}
        joined = MaskRuns.of_parts([np.concatenate(several) for several in parts.values()], by_columns=True)
        rles |= dict(zip(parts, joined.codes(self._size), strict=True))
        return InstanceResult(
            boxes=np.array([boxes[first] for first in order], np.float32).reshape(-1, 4),
            scores=np.array([scores[first] for first in order], np.float32),
            class_ids=np.array([classes[first] for first in order], np.int64),
            rles=[rles[first] for first in order],
            size=self._size,
            labels=self._labels,
            nonfinite_heads=sum(seen.result.nonfinite_heads for seen in self._seen),
        )


def _meetings(one: _Seen, masks: MaskRuns, other: _Seen, others: MaskRuns, box: Box) -> list[_Meeting]:
    """Return the objects of two tiles that may be one, or one a piece of the other; `box` is what both tiles see."""
    top, left, bottom, right = box
    columns = np.arange(left, right, dtype=np.int32)
    area = np.stack([columns, np.full_like(columns, top), np.full_like(columns, bottom)], axis=1)
    window = MaskRuns.of_parts([area], by_columns=True)
    inside, others_inside = masks.shared(window)[:, 0], others.shared(window)[:, 0]
    near, others_near = np.flatnonzero(inside), np.flatnonzero(others_inside)
    shared = masks.taken(near.tolist()).shared(others.taken(others_near.tolist()))
    same_class = one.result.class_ids[near][:, None] == other.result.class_ids[others_near][None]
    iou = shared / (inside[near][:, None] + others_inside[others_near][None] - shared)
    shares = shared / one.areas[near][:, None], shared / other.areas[others_near][None]
    possible = same_class & ((iou >= SAME) | (np.maximum(*shares) >= MOSTLY))
    worth = iou * np.minimum(one.result.scores[near][:, None], other.result.scores[others_near][None])
    return [
        _Meeting(
            one.first + int(near[i]),
            other.first + int(others_near[j]),
            float(worth[i, j]),
            float(iou[i, j]),
            (float(shares[0][i, j]), float(shares[1][i, j])),
        )
        for i, j in np.argwhere(possible).tolist()
    ]


def _chosen(members: list[int], scores: npt.NDArray[np.float32], cut: npt.NDArray[np.bool_]) -> list[int]:
    """Return the members that make a group's mask: the best one that is whole, else all."""
    whole = [number for number in members if not cut[number]]
    return [max(whole, key=lambda number: float(scores[number]))] if whole else members


def _outside(runs: npt.NDArray[np.int32], box: Box) -> npt.NDArray[np.int32]:
    """Return what of a mask's runs, by columns, lies outside a box."""
    top, left, bottom, right = box
    meets = (runs[:, 0] >= left) & (runs[:, 0] < right) & (runs[:, 1] < bottom) & (runs[:, 2] > top)
    above, below = runs[meets], runs[meets]
    above[:, 2] = np.minimum(above[:, 2], top)
    below[:, 1] = np.maximum(below[:, 1], bottom)
    parts = np.concatenate([runs[~meets], above, below])
    return parts[parts[:, 1] < parts[:, 2]]


def _around(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the box (x0, y0, x1, y1) around two."""
    return np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])])
