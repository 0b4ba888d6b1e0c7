"""What the network sees of the whole picture, shrunken, beside what it sees of tiles: large things and stuff."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns, count_overlaps
from segrt.runtime.results import InstanceResult, PanopticResult, Segment, SemanticResult
from segrt.runtime.segmenter.tiles.joining import MOSTLY, SAME
from segrt.runtime.segmenter.tiles.map_bands import bands, measured, smallest_type


@dataclass(frozen=True)
class Things:
    """Things of one view, each of them by class, score, area in pixels; `cut`: an edge of every tile that has it."""

    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    areas: npt.NDArray[np.int64]
    cut: npt.NDArray[np.bool_]


def kept_of_both(
    coarse: Things, fine: Things, shared: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which things of the whole view and which of the tiles stay; `shared` are common pixels (coarse, fine).

    Of two of one class that are one (IoU of `SAME` or more) the tiles' stays, which has the finer edges. Of the others
    a thing of the whole view goes where things that no tile cuts are half of it, several that were taken for one; and a
    thing of tiles goes that lies mostly inside a better one of the whole view: a piece of what no tile could hold.
    What the whole view has as a thing by itself, too, is no piece.
    """
    same_class = coarse.classes[:, None] == fine.classes[None]
    shared = np.where(same_class, shared, 0)
    one = shared >= SAME * (coarse.areas[:, None] + fine.areas[None] - shared)
    one &= shared > 0
    covered = np.where(fine.cut[None], 0, shared).sum(1)
    kept_coarse = ~one.any(1) & (covered < MOSTLY * coarse.areas)
    piece = (shared >= MOSTLY * fine.areas[None]) & (shared > 0) & kept_coarse[:, None]
    piece &= coarse.scores[:, None] >= fine.scores[None]
    piece &= ~np.any(one, axis=0, keepdims=True)
    return kept_coarse, ~piece.any(0)


def objects_of_both(whole: InstanceResult, tiles: InstanceResult, cut: npt.NDArray[np.bool_]) -> InstanceResult:
    """Return the objects of the picture; `cut` tells which of the tiles' are cut in every tile that sees them."""
    masks, finer = MaskRuns.of_rles(whole.rles), MaskRuns.of_rles(tiles.rles)
    of_whole = Things(
        whole.class_ids.astype(np.int64),
        whole.scores.astype(np.float64),
        masks.measure()[0],
        np.zeros(len(whole), bool),
    )
    of_tiles = Things(tiles.class_ids.astype(np.int64), tiles.scores.astype(np.float64), finer.measure()[0], cut)
    kept = kept_of_both(of_whole, of_tiles, masks.shared(finer))
    scores = np.concatenate([whole.scores, tiles.scores])
    places = np.flatnonzero(np.concatenate(kept))
    places = places[np.argsort(-scores[places], kind="stable")]
    rles = [*whole.rles, *tiles.rles]
    return InstanceResult(
        boxes=np.concatenate([whole.boxes, tiles.boxes])[places],
        scores=scores[places],
        class_ids=np.concatenate([of_whole.classes, of_tiles.classes])[places],
        rles=[rles[place] for place in places],
        size=whole.size,
        labels=whole.labels,
        nonfinite_heads=whole.nonfinite_heads + tiles.nonfinite_heads,
    )


def segments_of_both(whole: PanopticResult, tiles: PanopticResult, cut: Sequence[bool]) -> PanopticResult:
    """Return the segments of the picture; `cut` tells which of the tiles' are cut in every tile that sees them.

    Stuff is the whole view's, for what it is depends on what is around; where that has nothing, or a thing that goes,
    it is the tiles'. Things of tiles lie over everything else.
    """
    things = [segment for segment in whole.segments if segment.isthing]
    finer = [(segment, edge) for segment, edge in zip(tiles.segments, cut, strict=True) if segment.isthing]
    ids, finer_ids = [segment.id for segment in things], [segment.id for segment, _ in finer]
    shared = count_overlaps(whole.stored_ids, tiles.stored_ids, ids, finer_ids)[1:, 1:]
    kept = kept_of_both(
        _things(things, [False] * len(things)), _things([one for one, _ in finer], [edge for _, edge in finer]), shared
    )
    stay = {id(one) for one, yes in zip(things, kept[0], strict=True) if yes}
    over = {id(one) for (one, _), yes in zip(finer, kept[1], strict=True) if yes}
    numbers: dict[tuple[str, int], int] = {}  # stuff by class, things of each view by id → number
    origin: list[Segment] = []

    def number(view: str, segment: Segment) -> int:
        key = (view, segment.id) if segment.isthing else ("", segment.class_id)
        if key not in numbers:
            numbers[key] = len(numbers) + 1
            origin.append(segment)
        return numbers[key]

    base = {one.id: number("whole", one) for one in whole.segments if not one.isthing or id(one) in stay}
    beneath = {one.id: number("tiles", one) for one in tiles.segments if not one.isthing}
    above = {one.id: number("tiles", one) for one, _ in finer if id(one) in over}
    return _painted(whole, tiles, (base, beneath, above), origin)


def _painted(
    whole: PanopticResult,
    tiles: PanopticResult,
    numbers: tuple[Mapping[int, int], Mapping[int, int], Mapping[int, int]],
    origin: Sequence[Segment],
) -> PanopticResult:
    """Return the result of the whole view's numbers (id → number), the tiles' beneath them, and the tiles' above them.

    `origin` has the segment that each number is made of, from 1 on.
    """
    dtype = smallest_type(len(origin))
    base, beneath, above = (
        _table(table, result, dtype) for table, result in zip(numbers, (whole, tiles, tiles), strict=True)
    )
    ids: npt.NDArray[Any] = np.empty(whole.size, dtype)
    for rows in bands(whole.size):
        part, fine = base[whole.stored_ids[rows]], tiles.stored_ids[rows]
        np.copyto(part, beneath[fine], where=part == 0)
        over = above[fine]
        np.copyto(part, over, where=over > 0)
        ids[rows] = part
    areas, extents = measured(ids, len(origin))
    segments = []
    for number, made_of in enumerate(origin, 1):
        x0, y0, x1, y1 = (int(edge) for edge in extents[number])
        if areas[number]:
            bbox = (x0, y0, x1 - x0, y1 - y0)
            segments.append(replace(made_of, id=number, area=int(areas[number]), bbox=bbox))
    bad = whole.nonfinite_heads + tiles.nonfinite_heads
    return PanopticResult.decided(ids, segments, whole.labels, nonfinite_heads=bad)


def _table(numbers: Mapping[int, int], result: PanopticResult, dtype: "np.dtype[Any]") -> npt.NDArray[Any]:
    """Return id → number as an array, 0 for ids that have none."""
    table = np.zeros(max((segment.id for segment in result.segments), default=0) + 1, dtype)
    for segment_id, number in numbers.items():
        table[segment_id] = number
    return table


def _things(segments: Sequence[Segment], cut: Sequence[bool]) -> Things:
    return Things(
        np.array([segment.class_id for segment in segments], np.int64),
        np.array([segment.score for segment in segments], np.float64),
        np.array([segment.area for segment in segments], np.int64),
        np.array(cut, np.bool_),
    )


def classes_of_both(whole: SemanticResult, tiles: SemanticResult) -> SemanticResult:
    """Return the class map of the picture: things as tiles see them, stuff as the whole view does.

    Where the whole view sees a thing and tiles see none, it is the whole view's. Where all classes are stuff, or all
    are things, the map is the tiles', and the whole view fills what is void there.
    """
    bad = whole.nonfinite_heads + tiles.nonfinite_heads
    isthing = [label.isthing for label in whole.labels]
    things = np.zeros(np.iinfo(tiles.class_map.dtype).max + 1, np.bool_)
    if any(isthing) and not all(isthing):
        things[: len(isthing)] = isthing
    else:
        things[: len(isthing)] = True
    classes = whole.class_map
    for rows in bands(whole.size):
        part = tiles.class_map[rows]
        np.copyto(classes[rows], part, where=things[part] | (classes[rows] == whole.void_id))
    return SemanticResult.decided(classes, whole.labels, classes=len(whole.labels), nonfinite_heads=bad)
