"""Rule `matrix_nms` on the GPU."""

import ctypes
from typing import cast

import numpy as np

from segrt.runtime.decode.cuda.detections import Numbers, numbers, scores_of
from segrt.runtime.decode.cuda.mask_runs import MaskRuns
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.query_view import stepwise_view
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.matrix_nms import MatrixNms, check_class_ids, check_grid, whole_window
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.launching import blocks
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult

_SHOWN, _BAD, _STATE = 4, 5, 8  # `MatrixState` of cpp_postproc/cuda/matrix_nms.cu
_WARPS = (32, 8, 1)


class _Probabilities(ctypes.Structure):
    _fields_ = (
        ("values", Numbers),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("threshold", ctypes.c_float),
    )


class _CellTables(ctypes.Structure):
    _fields_ = (("area", ctypes.c_void_p), ("live", ctypes.c_void_p))


class MatrixNmsProgram(Program):
    """See `segrt.runtime.decode.matrix_nms`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._rule = rule = cast("MatrixNms", context.decode)
        self._scores, self._least_areas = numbers(heads["scores"]), numbers(heads["least_areas"])
        self._class_ids = heads["class_ids"]
        count, height, width = heads["mask_probabilities"].shape
        check_grid((height, width), geometry, rule.stride)
        self._masks = _Probabilities(numbers(heads["mask_probabilities"]), height, width, rule.mask_threshold)
        processed = (height * rule.stride, width * rule.stride)
        self._view, _ = stepwise_view((height, width), processed, whole_window(geometry), geometry.source_size)
        self._count, room = count, max(count, 1)
        self._ranked_most = most = min(rule.nms_pre, room)
        self._shown_most = shown = min(rule.max_instances, most)

        self._state = workspace.device(np.int32, _STATE)
        self._chosen, areas = workspace.device(np.int32, room), workspace.device(np.int32, room)
        self._tables = _CellTables(areas.address, workspace.device(np.int32, room, 4).address)
        self._keys = workspace.device(np.uint64, room)
        self._ranked, self._lowered = workspace.device(np.uint64, most), workspace.device(np.uint64, most)
        self._words = height * (-(-width // 32))
        self._bits = workspace.device(np.uint32, most, self._words)
        self._overlaps, self._worst = workspace.device(np.float32, most, most), workspace.device(np.float32, most)
        self._shown, self._cells = workspace.device(np.uint64, shown), workspace.device(np.int32, shown)
        self._runs = MaskRuns(workspace, shown, geometry.source_size, self._state[_SHOWN])
        self._here = [
            (workspace.pinned(array.dtype, *array.shape), array)
            for array in (self._state, self._shown, self._cells, self._class_ids)
        ]

    def enqueue(self) -> None:
        """See `Program`."""
        self.workspace.clear(self._state)
        self._rank()
        self._lower()
        launch, state = self.workspace.launch, self._state[0]
        launch(
            "matrix_nms", "show_cells", (blocks(self._ranked_most, 256), 1, 1), (256, 1, 1),
            self._lowered, self._ranked, self._tables, self._view, self._shown_most, self._shown, self._cells,
            self._runs.reach, state,
        )  # fmt: skip
        launch(
            "matrix_nms", "cut_cells", self._runs.grid, self._runs.block,
            self._masks, self._view, self._cells, self._state[_SHOWN], self._runs.bits,
        )  # fmt: skip
        self._runs.enqueue()

    def download(self) -> None:
        """See `Program`."""
        self._runs.download()
        for host, array in self._here:
            self.workspace.download(host, array)

    def result(self) -> InstanceResult:
        """See `Program`; raises BundleError for class ids without a label."""
        state, keys, cells, class_ids = (host for host, _ in self._here)
        check_class_ids(class_ids, len(self.context.labels))
        count = int(state[_SHOWN])
        boxes, codes = self._runs.boxes(count), self._runs.codes(count)
        seen = np.flatnonzero(boxes[:, 2] > 0)
        return InstanceResult(
            boxes=boxes[seen].astype(np.float32),
            scores=scores_of(keys[:count])[seen],
            class_ids=class_ids[cells[:count][seen]].astype(np.int64),
            rles=[codes[index] for index in seen],
            size=self.geometry.source_size,
            labels=self.context.labels,
            nonfinite_heads=int(state[_BAD:].sum()),
        )

    def _rank(self) -> None:
        """Put into the stream what leads to the best cells in order."""
        launch, count, state = self.workspace.launch, self._count, self._state[0]
        each = (blocks(count, 256), 1, 1)
        launch(
            "matrix_nms", "choose_cells", each, (256, 1, 1),
            self._scores, self._least_areas, count, float(self._rule.candidate_threshold), self._chosen, state,
        )  # fmt: skip
        launch(
            "matrix_nms", "measure_cells", (blocks(count, 8), 1, 1), _WARPS,
            self._scores, self._least_areas, self._masks, self._chosen, self._tables, self._keys, state,
        )  # fmt: skip
        launch("matrix_nms", "rank_cells", each, (256, 1, 1), self._keys, self._ranked_most, self._ranked, state)

    def _lower(self) -> None:
        """Put Matrix NMS into the stream."""
        launch, rule, state, most = self.workspace.launch, self._rule, self._state[0], self._ranked_most
        rows, eighths = blocks(self._masks.height, 8), blocks(most, 8)
        launch("matrix_nms", "pack_cells", (rows, most, 1), _WARPS, self._masks, self._ranked, self._bits, state)
        launch(
            "matrix_nms", "compare_cells", (eighths, most, 1), _WARPS,
            numbers(self._class_ids), self._tables, self._ranked, self._bits, self._words, most, self._overlaps, state,
        )  # fmt: skip
        launch("matrix_nms", "find_worst", (eighths, 1, 1), _WARPS, self._overlaps, most, self._worst, state)
        launch(
            "matrix_nms", "lower_scores", (eighths, 1, 1), _WARPS,
            self._ranked, self._overlaps, self._worst, most, int(rule.kernel == "gaussian"), float(rule.sigma),
            float(max(rule.filter_threshold, rule.score_threshold)), self._lowered, state,
        )  # fmt: skip
