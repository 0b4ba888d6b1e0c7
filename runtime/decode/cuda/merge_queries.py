"""Rule `merge_queries` on the GPU.

Pixels are labelled and counted on the GPU. Labels come down in their smallest type, with a row for each kept query;
the core chooses the segments from those rows and paints their ids on the host: the map of ids is four times as large as
the labels, and would take as much longer to come down than it takes to paint.
"""

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
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import PanopticResult

_MASK2FORMER_SIZE = (384, 384)
_FARTHEST = np.iinfo(np.int32).max
_NO_PIXELS = np.array([0, 0, 0, _FARTHEST, _FARTHEST, -1, -1], np.int32)
Merge = tuple[np.ndarray[tuple[int, int], np.dtype[np.int32]], list[postproc.MergedSegment]]


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
        self._kernel = f"{self._rule.merge_rule}_{number_of(self._masks)}"
        self._out = Download(
            workspace,
            {
                "counts": (np.int32, (3,)),  # `KeptCounts` of cpp_postproc/cuda/kept_queries.h
                "kept": (postproc.KEPT, (queries,)),
                "tallies": (np.int32, (queries, 7)),
                "labels": (label, geometry.source_size),
            },
        )
        self._scored = workspace.device(postproc.KEPT, queries)
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
        rule = self._rule.merge_rule
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
            "keep_queries", f"keep_queries_{number_of(self._logits)}", (1, 1, 1), (32, 32, 1),
            self._logits, queries, columns, float(self._rule.score_threshold),
            self._scored, there["kept"], there["counts"], there["tallies"],
        )  # fmt: skip
        self._count.enqueue()
        self._label()

    def _label(self) -> None:
        there = self._out.device
        _, height, width = self._masks.shape
        self.workspace.launch(
            f"merge_{self._rule.merge_rule}", self._kernel, label_grid(self.geometry.source_size), BLOCK,
            self._masks, height, width, self._enlarged.tables[0], self._enlarged.tables[1],
            there["kept"], there["counts"], self._target, there["tallies"], label_map(there["labels"]),
        )  # fmt: skip
        self._out.enqueue()

    def result(self) -> PanopticResult:
        """See `Program`."""
        count, bad_classes, bad_masks = (int(number) for number in self._out.host["counts"])
        labels = self.context.labels
        if count == 0:
            merge: Merge = np.zeros(self.geometry.source_size, np.int32), []
        elif self._rule.merge_rule == "detr":
            merge = self._merge_detr(count)
        else:
            here = self._out.host
            merge = postproc.merge_labelled(
                here["labels"],
                here["kept"][:count],
                here["tallies"][:count],
                rule=self._rule.merge_rule,
                overlap_threshold=self._rule.overlap_threshold,
                stuff_classes=self._stuff,
                threads=self.context.threads,
            )
        ids, segments = merge
        bad = (bad_classes > 0) + (bad_masks > 0)
        return PanopticResult(ids, described(segments, labels), labels, nonfinite_heads=bad)

    def _merge_detr(self, count: int) -> Merge:
        # Nearly every frame is done after its first round; each round has fewer queries than the one before.
        here, first_time = self._out.host, True
        while True:
            left, merged = postproc.merge_detr_labelled(
                here["labels"],
                here["kept"][:count],
                here["tallies"][:count],
                stuff_classes=self._stuff,
                first_time=first_time,
                threads=self.context.threads,
            )
            if merged is not None:
                return merged
            if not left:
                return np.zeros(self.geometry.source_size, np.int32), []
            count, first_time = len(left), False
            self._label_again(left)

    def _label_again(self, left: list[int]) -> None:
        here, queue = self._out.host, self.workspace.queue
        here["counts"][0] = len(left)
        here["kept"][: len(left)] = here["kept"][left]
        here["tallies"][:] = _NO_PIXELS
        with queue.cuda.current():
            self._out.upload("counts", "kept", "tallies")
            self._label()
            queue.stream.synchronize()


def _axes(
    grid: tuple[int, int], window: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[tuple[int, tuple[float, float], int], ...]:
    """Return for rows and columns: the grid's length, the extent that is shown, the target's length."""
    top, left, bottom, right = window
    return (grid[0], (top, bottom), size[0]), (grid[1], (left, right), size[1])
