"""Rule `query_semantic` on the GPU.

Scores of all classes at a processed size may take hundreds of megabytes, so that the picture is decided in bands whose
scores stay in the GPU's cache.
"""

import ctypes
from dataclasses import dataclass
from typing import cast

import numpy as np

from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.label_kernels import BLOCK, LabelMap, label_grid, label_map
from segrt.runtime.decode.cuda.nonfinite import NonfiniteCount, number_of
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.taps import Taps, TargetTaps, bilinear_taps, enlarged_part, upload_target
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.processed_size import size_of
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.launching import tiles
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult

_SCORES_TILE = (128, 64)  # cells and classes of a block
_SCORES_BLOCK = (16, 16, 1)
_BAND_BYTES = 24 << 20  # of scores at a time
_BAND_ROWS = 32  # bands begin at multiples of it, as the kernel's blocks do


class _CellRows(ctypes.Structure):
    """`CellRows` of cpp_postproc/cuda/query_semantic.cu."""

    _fields_ = (("first_row", ctypes.c_int32), ("row_count", ctypes.c_int32), ("width", ctypes.c_int32))


@dataclass(frozen=True)
class _Band:
    """Target rows, and the rows of cells between which they lie."""

    cells: _CellRows
    target: TargetTaps
    classes: LabelMap


class QuerySemanticProgram(Program):
    """See `segrt.runtime.decode.query_semantic`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._logits, self._masks = heads["class_logits"], heads["mask_logits"]
        queries = self._masks.shape[0]
        self._labels = labels = self._logits.shape[1] - 1
        dtype = np.uint8 if labels <= 256 else np.uint16
        self._out = Download(workspace, {"classes": (dtype, geometry.source_size), "bad": (np.int32, (2,))})
        self._weights = workspace.device(np.float32, queries, labels)
        self._enlarged: tuple[ctypes.c_void_p, ...] = ()
        self._bands: list[_Band] = []
        used = self._prepare_bands()
        bad = self._out.device["bad"]
        bad_masks = DeviceArray(bad.address + bad.dtype.itemsize, bad.dtype, (1,), bad.queue)
        self._count = NonfiniteCount.of(workspace, self._masks, used.astype(np.uint8), bad_masks)

    def _prepare_bands(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Make all tables; return which rows of masks the core reads."""
        rule, grid = cast("QuerySemantic", self.context.decode), self._masks.shape[1:]
        cells, window = (grid[0], grid[1]), self.geometry.window_on((grid[0], grid[1]))
        used = np.ones(grid[0], np.bool_)
        processed = size_of(rule.processed_size, self.geometry)
        if processed is not None:
            part = enlarged_part(cells, window, processed)
            self._enlarged = upload_target(self.workspace, part.rows, part.columns).tables
            cells, window = (len(part.rows), len(part.columns)), part.window
            row = np.arange(grid[0])
            used = (row >= part.rows["low"][0]) & (row <= part.rows["high"][-1])
        top, left, bottom, right = window
        height, width = self.geometry.source_size
        rows = bilinear_taps(cells[0], (top, bottom), height)
        columns = bilinear_taps(cells[1], (left, right), width)
        row_bytes = self._labels * cells[1] * 4
        for begin, end in _bands(rows, max(_BAND_BYTES // row_bytes, 1)):
            self._bands.append(self._band(rows[begin:end], columns, begin, cells[1]))
        most = max(band.cells.row_count for band in self._bands)
        self._scores = self.workspace.device(np.float32, self._labels, most, cells[1])
        return used

    def _band(self, rows: Taps, columns: Taps, begin: int, width: int) -> _Band:
        first, last = int(rows["low"][0]), int(rows["high"][-1])
        own = rows.copy()
        own["low"] -= first
        own["high"] -= first
        classes = label_map(self._out.device["classes"])
        classes.data += begin * len(columns) * (classes.is_wide + 1)
        target = upload_target(self.workspace, own, columns)
        return _Band(_CellRows(first, last - first + 1, width), target, classes)

    def enqueue(self) -> None:
        """See `Program`."""
        queries, columns = self._logits.shape
        bad = self._out.device["bad"]
        self.workspace.clear(bad)
        self.workspace.launch(
            "query_semantic", f"class_probabilities_{number_of(self._logits)}", tiles(queries, 1, 8, 1), (32, 8, 1),
            self._logits, queries, columns, self._weights, bad,
        )  # fmt: skip
        self._count.enqueue()
        for band in self._bands:
            self._enqueue_band(band)

    def _enqueue_band(self, band: _Band) -> None:
        queries, height, width = self._masks.shape
        cells, target = band.cells, band.target
        self.workspace.launch(
            "query_semantic", f"score_{'enlarged' if self._enlarged else 'classes'}_{number_of(self._masks)}",
            tiles(cells.row_count * cells.width, self._labels, *_SCORES_TILE), _SCORES_BLOCK,
            self._masks, height, width, *self._enlarged, cells, self._weights, queries, self._labels, self._scores,
        )  # fmt: skip
        self.workspace.launch(
            "argmax", "argmax_float", label_grid((target.height, target.width)), BLOCK,
            self._scores, self._labels, cells.row_count, cells.width, target, band.classes,
        )  # fmt: skip

    def download(self) -> None:
        """See `Program`."""
        self._out.enqueue()

    def result(self) -> SemanticResult:
        """See `Program`."""
        bad = int(np.count_nonzero(self._out.host["bad"]))
        return SemanticResult.decided(
            self._out.kept("classes"), self.context.labels, classes=self._labels, nonfinite_heads=bad
        )


def _bands(rows: Taps, most: int) -> list[tuple[int, int]]:
    """Return target rows [begin, end) that lie between at most `most` rows of cells, or as few as it takes."""
    bands: list[tuple[int, int]] = []
    begin = 0
    while begin < len(rows):
        end = begin + _BAND_ROWS
        while end < len(rows) and rows["high"][min(end + _BAND_ROWS, len(rows)) - 1] - rows["low"][begin] < most:
            end += _BAND_ROWS
        bands.append((begin, min(end, len(rows))))
        begin = end
    return bands
