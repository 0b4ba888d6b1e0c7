"""Masks as runs along lines: what masks of two frames or tiles share, each moved as its object has moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import ArgumentError, Size, checked_size, class_list, describe
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.run_lengths import codes_of
from segrt.runtime.postproc.types import Rle


@dataclass(frozen=True, eq=False)
class MaskRuns:
    """N masks of one kind: `runs` int32 (R, 3) of (line, begin, end), pixels begin to end - 1 of a line.

    Those of mask i are runs[starts[i]:starts[i + 1]], by line and begin; `starts` is int64 (N + 1,). Lines are rows, or
    columns where `by_columns`, as COCO's run lengths have them.
    """

    runs: NDArray[np.int32]
    starts: NDArray[np.int64]
    by_columns: bool = False

    @classmethod
    def none(cls, *, by_columns: bool = False) -> "MaskRuns":
        """Return no masks."""
        return cls(np.zeros((0, 3), np.int32), np.zeros(1, np.int64), by_columns)

    @classmethod
    def of_map(cls, ids_map: NDArray[Any], ids: Sequence[int]) -> "MaskRuns":
        """Return the masks of distinct `ids` in a label map, uint8, uint16 or int32 (H, W), in one pass over it."""
        if (
            not isinstance(ids_map, np.ndarray)
            or ids_map.ndim != 2
            or ids_map.dtype not in (np.uint8, np.uint16, np.int32)
        ):
            raise ArgumentError(f"ids_map must be uint8, uint16 or int32 with shape (H, W), got {describe(ids_map)}")
        runs, starts = call_checked(core.runs_of_map, ids_map, class_list("ids", ids))
        return cls(runs, starts)

    @classmethod
    def of_rles(cls, rles: Sequence[Rle]) -> "MaskRuns":
        """Return the masks of COCO run-length codes that share one size."""
        size, codes = codes_of(rles)
        if not codes:
            return cls.none(by_columns=True)
        runs, starts = call_checked(core.runs_of_codes, codes, size)
        return cls(runs, starts, by_columns=True)

    @classmethod
    def of_parts(cls, parts: Sequence[NDArray[np.int32]], *, by_columns: bool) -> "MaskRuns":
        """Return the masks whose runs, int32 (R, 3), are given each for itself."""
        if not parts:
            return cls.none(by_columns=by_columns)
        starts = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=starts[1:])
        return cls(np.concatenate(parts), starts, by_columns)

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.starts) - 1

    def one(self, index: int) -> "MaskRuns":
        """Return the mask of this index alone, a copy that keeps none of the others."""
        begin, end = int(self.starts[index]), int(self.starts[index + 1])
        return MaskRuns(self.runs[begin:end].copy(), np.array([0, end - begin], np.int64), self.by_columns)

    def taken(self, indices: Sequence[int], others: "MaskRuns | None" = None) -> "MaskRuns":
        """Return the masks of these indices, in their order, as copies; `others` are counted on from these."""
        others = MaskRuns.none(by_columns=self.by_columns) if others is None else others
        if self.by_columns != others.by_columns:
            raise ArgumentError("others must have the same lines: masks of maps have rows, those of codes columns")
        runs, starts = call_checked(
            core.take_runs, self.runs, self.starts, others.runs, others.starts, class_list("indices", indices)
        )
        return MaskRuns(runs, starts, self.by_columns)

    def moved(self, dx: int, dy: int) -> "MaskRuns":
        """Return the masks moved by whole pixels to the right and down."""
        lines, along = (dx, dy) if self.by_columns else (dy, dx)
        return MaskRuns(self.runs + np.array([lines, along, along], np.int32), self.starts, self.by_columns)

    def codes(self, size: Size) -> list[Rle]:
        """Return the masks, whose lines must be columns, as COCO run-length codes of a picture of `size` (H, W).

        Runs of one mask may overlap and come in any order: the code is that of their union. Raises ArgumentError for
        masks by rows, and for a run outside of the picture.
        """
        if not self.by_columns:
            raise ArgumentError("the masks' lines must be columns, as those of codes are, but they are rows")
        height, width = checked_size("size", size)
        codes = call_checked(core.codes_of_runs, self.runs, self.starts, (height, width))
        return [Rle(size=[height, width], counts=code) for code in codes]

    def measure(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return areas (N,) in pixels and extents (N, 4) as x0, y0, x1, y1 (edges; 0 when empty)."""
        areas, extents = call_checked(core.measure_runs, self.runs, self.starts)
        return areas, extents if self.by_columns else extents[:, [1, 0, 3, 2]]

    def cut(self, index: int, extent: Sequence[int]) -> NDArray[np.bool_]:
        """Return the mask of this index within `extent` (x0, y0, x1, y1), which holds all of it, bool (h, w)."""
        left, top, right, bottom = (int(side) for side in extent)
        mask = np.zeros((bottom - top, right - left), np.bool_)
        lines, first, before = (mask.T, left, top) if self.by_columns else (mask, top, left)
        for line, begin, end in self.runs[int(self.starts[index]) : int(self.starts[index + 1])].tolist():
            lines[line - first, begin - before : end - before] = True
        return mask

    def shared(self, others: "MaskRuns", shifts: NDArray[Any] | None = None) -> NDArray[np.int64]:
        """Return how many pixels each mask has in common with each of `others`, int64 (N, M).

        `shifts` (N, 2) moves each mask by whole pixels (dx, dy) first; what leaves the picture meets nothing. Both must
        have lines of one kind. Overlapping masks are counted each for itself.
        """
        if self.by_columns != others.by_columns:
            raise ArgumentError("others must have the same lines: masks of maps have rows, those of codes columns")
        moves = np.zeros((len(self), 2), np.int64) if shifts is None else np.asarray(shifts)
        if moves.shape != (len(self), 2) or moves.dtype.kind not in "iu":
            raise ArgumentError(f"shifts must be integers with shape {(len(self), 2)}, got {describe(moves)}")
        moves = np.ascontiguousarray(moves if self.by_columns else moves[:, ::-1], np.int64)
        counts: NDArray[np.int64] = call_checked(
            core.count_shared, self.runs, self.starts, moves, others.runs, others.starts
        )
        return counts
