"""Rule `merge_queries` on the GPU.

Pixels are labelled, counted and painted with their segments' ids on the GPU. Ids come down in their smallest type, with
a row for each kept query, from which the core makes the segments' descriptions.
"""

import ctypes
from typing import cast

import numpy as np

from segrt.runtime import postproc
from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.label_kernels import BLOCK, label_grid, label_map
from segrt.runtime.decode.cuda.nonfinite import NonfiniteCount, number_of
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.taps import (
    Taps,
    bilinear_taps,
    channels_of,
    enlarged_part,
    nearest_pixels,
    rows_used,
    upload_target,
)
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.merged_segments import described
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.launching import tiles
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import PanopticResult

_MASK2FORMER_SIZE = (384, 384)
_PAINT_BLOCK = (256, 1, 1)
_PAINTED_WORDS = 1024  # of a block of `paint_bytes` and `paint_shorts`
_QUERIES_A_BLOCK = 8  # `kScoringWarps` of the kernel
_FARTHEST = np.iinfo(np.int32).max
_NO_PIXELS = np.array([0, 0, 0, _FARTHEST, _FARTHEST, -1, -1], np.int32)


class MergeQueriesProgram(Program):
    """See `segrt.runtime.decode.merge_queries`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._rule = cast("MergeQueries", context.decode)
        self._logits, self._masks = heads["class_logits"], heads["mask_logits"]
        self._stuff = tuple(index for index, label in enumerate(context.labels) if not label.isthing)
        queries, height, _ = self._masks.shape
        # A label more than queries: void.
        label = np.dtype(np.uint8 if queries <= 255 else np.uint16)
        self._kernel = f"{self._rule.core_rule}_{number_of(self._masks)}"
        self._out = Download(
            workspace,
            {
                "counts": (np.int32, (3,)),  # `KeptCounts` of cpp_postproc/cuda/kept_queries.h
                "kept": (postproc.KEPT, (queries,)),
                "tallies": (np.int32, (queries, 7)),
                "ids": (label, geometry.source_size),
            },
        )
        self._scored = workspace.device(postproc.KEPT, queries)
        self._stands, self._first, self._id_of_label = (workspace.device(np.int32, queries) for _ in range(3))
        stuff = np.zeros(self._logits.shape[1], np.uint8)
        stuff[[index for index in self._stuff if index < len(stuff)]] = 1
        self._is_stuff = workspace.upload(stuff)
        # What of it is united in a round after the first.
        self._united_later = workspace.upload(np.zeros_like(stuff)) if self._rule.compat else self._is_stuff
        self._progress = workspace.upload(np.zeros(2, np.int32))  # which the kernel leaves as it found it
        rows = self._upload_tables()
        counts, item = self._out.device["counts"], np.dtype(np.int32).itemsize
        self._count = NonfiniteCount(
            workspace,
            self._masks,
            workspace.upload(rows_used(rows, height)),
            found=DeviceArray(counts.address + 2 * item, counts.dtype, (1,), counts.queue),
            images=channels_of(self._out.device["kept"], postproc.KEPT.itemsize // item),
            count=counts,
        )

    def _upload_tables(self) -> Taps:
        """Make the target's tables, and those of the first resize; return the rows by which masks are read."""
        grid = self._masks.shape[1], self._masks.shape[2]
        window, size = self.geometry.window_on(grid), self.geometry.source_size
        rule = self._rule.core_rule
        if rule == "maskformer":
            rows, columns = (bilinear_taps(*axis) for axis in _axes(grid, window, size))
            self._target = self._enlarged = upload_target(self.workspace, rows, columns)
            return rows
        part = enlarged_part(grid, window, _MASK2FORMER_SIZE if rule == "mask2former" else self.geometry.network_size)
        axes = _axes((len(part.rows), len(part.columns)), part.window, size)
        if rule == "detr":
            pixels = [nearest_pixels(*axis) for axis in axes]
            self._target = upload_target(self.workspace, part.rows[pixels[0]], part.columns[pixels[1]])
        else:
            self._target = upload_target(self.workspace, *(bilinear_taps(*axis) for axis in axes))
        self._enlarged = upload_target(self.workspace, part.rows, part.columns)
        # The core enlarges masks whole.
        return bilinear_taps(grid[0], (0.0, grid[0]), grid[0])

    def enqueue(self) -> None:
        """See `Program`."""
        queries, columns = self._logits.shape
        there = self._out.device
        self.workspace.launch(
            "keep_queries", f"keep_queries_{number_of(self._logits)}", tiles(queries, 1, _QUERIES_A_BLOCK, 1),
            (32, _QUERIES_A_BLOCK, 1), self._logits, queries, columns, float(self._rule.score_threshold),
            self._scored, there["kept"], there["counts"], there["tallies"], self._progress,
        )  # fmt: skip
        self._count.enqueue()
        self._label(self._is_stuff)

    def _label(self, united: DeviceArray) -> None:
        there = self._out.device
        _, height, width = self._masks.shape
        self.workspace.launch(
            f"merge_{self._rule.core_rule}", self._kernel, label_grid(self.geometry.source_size), BLOCK,
            self._masks, height, width, self._enlarged.tables[0], self._enlarged.tables[1],
            there["kept"], there["counts"], self._target, there["tallies"], label_map(there["ids"]),
        )  # fmt: skip
        self._paint(united)

    def _paint(self, united: DeviceArray) -> None:
        """Let labels become ids, in their place; `united` marks the classes of which there is one segment."""
        there, ids = self._out.device, self._out.device["ids"]
        self.workspace.launch(
            "paint_segments", "choose_ids", (1, 1, 1), _PAINT_BLOCK,
            there["kept"], there["counts"], there["tallies"], united, int(self._rule.core_rule == "detr"),
            ctypes.c_double(self._rule.core_overlap), self._stands, self._first, self._id_of_label,
        )  # fmt: skip
        words = -(-ids.nbytes // 4)  # those of the labels; `Download` leaves room behind them
        self.workspace.launch(
            "paint_segments", "paint_bytes" if ids.dtype.itemsize == 1 else "paint_shorts",
            tiles(words, 1, _PAINTED_WORDS, 1), _PAINT_BLOCK, ids, words, self._id_of_label, there["counts"],
        )  # fmt: skip

    def download(self) -> None:
        """See `Program`."""
        self._out.enqueue()

    def result(self) -> PanopticResult:
        """See `Program`."""
        count, bad_classes, bad_masks = (int(number) for number in self._out.host["counts"])
        segments = self._segments(count) if count > 0 else []
        labels = self.context.labels
        bad = (bad_classes > 0) + (bad_masks > 0)
        return PanopticResult.decided(self._out.kept("ids"), described(segments, labels), labels, nonfinite_heads=bad)

    def _segments(self, count: int) -> list[postproc.MergedSegment]:
        if self._rule.core_rule == "detr":
            return self._detr_segments(count)
        here = self._out.host
        return postproc.choose_segments(
            here["kept"][:count],
            here["tallies"][:count],
            rule=self._rule.core_rule,
            overlap_threshold=self._rule.core_overlap,
            stuff_classes=self._stuff,
        )

    def _detr_segments(self, count: int) -> list[postproc.MergedSegment]:
        # Nearly every frame is done after its first round; each round has fewer queries than the one before, and the
        # last of none leaves a map of zeros.
        here, first_time = self._out.host, True
        while True:
            left, segments = postproc.choose_detr_segments(
                here["kept"][:count], here["tallies"][:count], stuff_classes=self._stuff, compat=self._rule.compat,
                first_time=first_time,
            )  # fmt: skip
            if segments is not None:
                return segments
            count, first_time = len(left), False
            self._label_again(left)

    def _label_again(self, left: list[int]) -> None:
        here, queue = self._out.host, self.workspace.queue
        here["counts"][0] = len(left)
        here["kept"][: len(left)] = here["kept"][left]
        here["tallies"][:] = _NO_PIXELS
        with queue.cuda.current():
            self._out.upload("counts", "kept", "tallies")
            self._label(self._united_later)
            self._out.enqueue_again()
            queue.stream.synchronize()


def _axes(
    grid: tuple[int, int], window: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[tuple[int, tuple[float, float], int], ...]:
    """Return for rows and columns: the grid's length, the extent that is shown, the target's length."""
    top, left, bottom, right = window
    return (grid[0], (top, bottom), size[0]), (grid[1], (left, right), size[1])
