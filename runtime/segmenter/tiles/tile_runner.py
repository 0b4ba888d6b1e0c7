"""Runs the tiles of a picture through a segmenter: in batches, several on their way, joined as they come back."""

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from segrt.runtime.errors import BackendError, SegrtError
from segrt.runtime.inference.tensors import Head, Slot
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.tiling import Tile, Tiling
from segrt.runtime.results import Label, Result
from segrt.runtime.results.technique import Technique
from segrt.runtime.segmenter.calling import Segmenter
from segrt.runtime.segmenter.tiles.blended_classes import BlendedJoining
from segrt.runtime.segmenter.tiles.joined_classes import ClassesJoining
from segrt.runtime.segmenter.tiles.joined_objects import ObjectsJoining
from segrt.runtime.segmenter.tiles.joined_segments import SegmentsJoining
from segrt.runtime.segmenter.tiles.joining import Joining
from segrt.runtime.segmenter.tiles.score_grids import ScoreGrid, ScoreRule, score_rule
from segrt.runtime.stream.frame_segmenter import ServerBackend

_JOININGS: dict[Technique, Callable[[tuple[int, int], tuple[Label, ...]], Joining[Result]]] = {
    "semantic": ClassesJoining,
    "instance": ObjectsJoining,
    "panoptic": SegmentsJoining,
}
Seen = TypeVar("Seen")
# (heads of a batch; where each of its views lies) → what is joined, view by view
_Reader = Callable[[Mapping[str, Head], Sequence[Geometry]], list[Seen]]


@dataclass(frozen=True)
class _Running:
    """A batch of tiles on its way: the slot, which tiles, where each lies in its input."""

    slot: Slot
    tiles: Sequence[Tile]
    geometries: Sequence[Geometry]


def segment_tiles(segmenter: Segmenter, picture: Any, tiling: Tiling, ended: Callable[[], bool]) -> Result:
    """Return the result of `picture`, an array (H, W, …) or what gives one for [rows, columns].

    A picture that is no larger than a tile is segmented as it is. Of an array the whole is segmented, too, if the
    tiling says so; of what gives windows alone it cannot be. `ended` is asked between batches whether nobody wants the
    result any more; BackendError is raised then.
    """
    size = (int(picture.shape[0]), int(picture.shape[1]))
    tiles = tiling.cut(size)
    whole = [Tile((0, 0, *size), (0, 0, 0, 0))] if tiling.whole and isinstance(picture, np.ndarray) else []
    views = tiles if len(tiles) == 1 else whole + tiles
    if len(views) == 1:
        with closing(_seen(segmenter, picture, views, ended, _results_of(segmenter))) as results:
            return next(results)[1]
    rule = score_rule(segmenter.decode, len(segmenter.labels)) if segmenter.technique == "semantic" else None
    if rule is not None and not isinstance(segmenter.backend, ServerBackend):  # a server gives classes
        blending = BlendedJoining(size, segmenter.labels, rule, segmenter.threads)
        grids = _seen(segmenter, picture, views, ended, _grids_of(segmenter, rule))
        return _joined(blending, grids, len(whole))
    joining = _JOININGS[segmenter.manifest.technique](size, segmenter.labels)
    return _joined(joining, _seen(segmenter, picture, views, ended, _results_of(segmenter)), len(whole))


def _joined(joining: Joining[Seen], seen: Generator[tuple[Tile, Seen], None, None], wholes: int) -> Result:
    """Give all views to `joining`, the first of them as that of the whole if there is one."""
    with closing(seen):
        for place, (tile, view) in enumerate(seen):
            if place < wholes:
                joining.add_whole(view)
            else:
                joining.add(tile, view)
    return joining.finish()


def _results_of(segmenter: Segmenter) -> _Reader[Result]:
    """Return what decodes each view by itself."""

    def read(heads: Mapping[str, Head], geometries: Sequence[Geometry]) -> list[Result]:
        return [segmenter.postprocess(heads, geometry, index) for index, geometry in enumerate(geometries)]

    return read


def _grids_of(segmenter: Segmenter, rule: ScoreRule) -> _Reader[ScoreGrid]:
    """Return what takes the scores of each view."""

    def read(heads: Mapping[str, Head], geometries: Sequence[Geometry]) -> list[ScoreGrid]:
        copies = {spec.role: heads[spec.name].on_host() for spec in segmenter.manifest.heads}
        return [
            rule.read({role: array[index] for role, array in copies.items()}, geometry)
            for index, geometry in enumerate(geometries)
        ]

    return read


def _seen(
    segmenter: Segmenter, picture: Any, tiles: Sequence[Tile], ended: Callable[[], bool], read: _Reader[Seen]
) -> Generator[tuple[Tile, Seen], None, None]:
    """Yield each tile with what is read of it, in order; as many batches are on their way as there are slots."""
    backend = segmenter.backend
    running: deque[_Running] = deque()
    try:
        for first in range(0, len(tiles), backend.batch):
            if ended():
                raise BackendError(f"{backend.name}: the backend is closed")
            if len(running) == backend.slots:
                yield from _finished(segmenter, running, read)
            running.append(_submitted(segmenter, picture, tiles[first : first + backend.batch]))
        while running:
            yield from _finished(segmenter, running, read)
    finally:
        for batch in running:  # after an error: nobody wants their heads
            with suppress(Exception):
                backend.wait(batch.slot)
            with suppress(SegrtError):
                backend.release(batch.slot)


def _submitted(segmenter: Segmenter, picture: Any, tiles: Sequence[Tile]) -> _Running:
    """Put tiles into a slot and start it."""
    slot = segmenter.backend.acquire()
    try:
        geometries = [segmenter.preprocess(_part(picture, tile), slot, index) for index, tile in enumerate(tiles)]
        segmenter.backend.submit(slot)
    except BaseException:
        with suppress(SegrtError):
            segmenter.backend.release(slot)
        raise
    return _Running(slot, tiles, geometries)


def _finished(segmenter: Segmenter, running: deque[_Running], read: _Reader[Seen]) -> list[tuple[Tile, Seen]]:
    """Wait for the first batch; return its tiles with what is read of them."""
    batch = running[0]
    heads = segmenter.backend.wait(batch.slot)
    done = list(zip(batch.tiles, read(heads, batch.geometries), strict=True))
    running.popleft()
    segmenter.backend.release(batch.slot)
    return done


def _part(picture: Any, tile: Tile) -> Raster:
    part: Raster = np.asarray(picture[tile.rows, tile.columns])
    return part
