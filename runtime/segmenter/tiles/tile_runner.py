"""Runs the tiles of a picture through a segmenter: in batches, several on their way, joined as they come back."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrt.runtime.errors import BackendError, SegrtError
from segrt.runtime.inference.tensors import Slot
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.tiling import Tile, Tiling
from segrt.runtime.results import Label, Result
from segrt.runtime.results.technique import Technique
from segrt.runtime.segmenter.calling import Segmenter
from segrt.runtime.segmenter.tiles.joined_classes import ClassesJoining
from segrt.runtime.segmenter.tiles.joined_objects import ObjectsJoining
from segrt.runtime.segmenter.tiles.joined_segments import SegmentsJoining
from segrt.runtime.segmenter.tiles.joining import Joining

_JOININGS: dict[Technique, Callable[[tuple[int, int], tuple[Label, ...]], Joining]] = {
    "semantic": ClassesJoining,
    "instance": ObjectsJoining,
    "panoptic": SegmentsJoining,
}


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
    with closing(_results(segmenter, picture, views, ended)) as results:
        if len(views) == 1:
            return next(results)[1]
        joining = _JOININGS[segmenter.manifest.technique](size, segmenter.labels)
        for view, result in results:
            if whole and view is whole[0]:
                joining.add_whole(result)
            else:
                joining.add(view, result)
    return joining.finish()


def _results(
    segmenter: Segmenter, picture: Any, tiles: Sequence[Tile], ended: Callable[[], bool]
) -> Generator[tuple[Tile, Result], None, None]:
    """Yield each tile with its result, in order; as many batches as the backend has slots are on their way at once."""
    backend = segmenter.backend
    running: deque[_Running] = deque()
    try:
        for first in range(0, len(tiles), backend.batch):
            if ended():
                raise BackendError(f"{backend.name}: the backend is closed")
            if len(running) == backend.slots:
                yield from _finished(segmenter, running)
            running.append(_submitted(segmenter, picture, tiles[first : first + backend.batch]))
        while running:
            yield from _finished(segmenter, running)
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


def _finished(segmenter: Segmenter, running: deque[_Running]) -> list[tuple[Tile, Result]]:
    """Wait for the first batch; return its tiles' results."""
    batch = running[0]
    heads = segmenter.backend.wait(batch.slot)
    done = [
        (tile, segmenter.postprocess(heads, geometry, index))
        for index, (tile, geometry) in enumerate(zip(batch.tiles, batch.geometries, strict=True))
    ]
    running.popleft()
    segmenter.backend.release(batch.slot)
    return done


def _part(picture: Any, tile: Tile) -> Raster:
    part: Raster = np.asarray(picture[tile.rows, tile.columns])
    return part
