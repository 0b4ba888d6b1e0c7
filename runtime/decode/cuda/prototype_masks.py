"""Rule `prototype_masks` on the GPU."""

import ctypes
from typing import cast

import numpy as np

from segrt.runtime.decode.cuda.detections import BAD, CANDIDATES, KEPT, STATE, Numbers, box_map, numbers
from segrt.runtime.decode.cuda.mask_runs import MaskRuns
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.query_view import view_of
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.prototype_masks import PrototypeMasks, check_class_ids, enlarged_first
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.launching import blocks
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult

_ROWS = ("yolo", "yolov5", "detections")
# `Found` of cpp_postproc/cuda/predictions.h
_FOUND = np.dtype(
    [("box", np.float32, 4), ("moved", np.float32, 4), ("score", np.float32), ("anchor", np.int32),
     ("class_id", np.int64)]
)  # fmt: skip
_CHECKING_BLOCKS = 264  # two for each of a large GPU's processors


class _Predictions(ctypes.Structure):
    _fields_ = (
        ("values", Numbers),
        ("row_step", ctypes.c_int64),
        ("anchor_step", ctypes.c_int64),
        ("anchors", ctypes.c_int32),
        ("length", ctypes.c_int32),
        ("classes", ctypes.c_int32),
        ("rows", ctypes.c_int32),
        ("score_threshold", ctypes.c_float),
        ("likely", ctypes.c_float),
    )


class _BoxCut(ctypes.Structure):
    _fields_ = (
        ("in_grid", ctypes.c_int32),
        ("first_row", ctypes.c_float),
        ("row_ratio", ctypes.c_float),
        ("first_column", ctypes.c_float),
        ("column_ratio", ctypes.c_float),
    )


class PrototypeMasksProgram(Program):
    """See `segrt.runtime.decode.prototype_masks`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._rule = rule = cast("PrototypeMasks", context.decode)
        self._prototypes = prototypes = heads["prototypes"]
        count, *grid = prototypes.shape
        self._table = table = _table(heads["predictions"], count, rule, len(context.labels))
        self._most = most = max(min(rule.max_detections, table.anchors), 1)
        shape = (grid[0], grid[1])
        processed = None if rule.compat else enlarged_first(geometry, shape)
        self._view, _ = view_of(shape, processed, geometry)
        self._cut = _box_cut(shape, geometry, in_grid=rule.compat)
        self._map = box_map(geometry)

        anchors = max(table.anchors, 1)
        self._looked_at = table.length if rule.rows == "detections" else 4 + table.classes
        # What is counted, and behind it a mark for each row with values that are not finite.
        self._state = workspace.device(np.int32, STATE + self._looked_at)
        self._class_of = workspace.device(np.int32, anchors)
        self._keys, self._sorted = workspace.device(np.uint64, anchors), workspace.device(np.uint64, anchors)
        self._found = workspace.device(np.uint8, most, _FOUND.itemsize)
        self._cells = workspace.device(np.int32, most, 4)
        self._sums = workspace.device(np.float32, most, *shape)
        self._runs = MaskRuns(workspace, most, geometry.source_size, self._state[KEPT])
        self._state_here = workspace.pinned(np.int32, STATE)
        self._found_here = workspace.pinned(np.uint8, most, _FOUND.itemsize)

    def enqueue(self) -> None:
        """See `Program`."""
        self.workspace.clear(self._state)
        self._find()
        launch, state, prototypes = self.workspace.launch, self._state[CANDIDATES], numbers(self._prototypes)
        count, height, width = self._prototypes.shape
        launch(
            "prototype_masks", "check_prototypes",
            (min(blocks(count * height * width, 256), _CHECKING_BLOCKS), 1, 1), (256, 1, 1),
            prototypes, count * height * width, state,
        )  # fmt: skip
        launch(
            "prototype_masks", "place_boxes", (blocks(self._most, 256), 1, 1), (256, 1, 1),
            self._map, self._view, self._cut, self._found, self._runs.reach, self._cells, state,
        )  # fmt: skip
        launch(
            "prototype_masks", "sum_prototypes", (blocks(height * width, 256), self._most, 1), (256, 1, 1),
            prototypes, count, height, width, self._table, self._found, self._cells, self._sums, state,
        )  # fmt: skip
        launch(
            "prototype_masks", "cut_sums", self._runs.grid, self._runs.block,
            self._sums, self._view, self._cells, self._state[KEPT], self._runs.bits,
        )  # fmt: skip
        self._runs.enqueue()

    def download(self) -> None:
        """See `Program`."""
        self._runs.download()
        self.workspace.download(self._state_here, self._state)
        self.workspace.download(self._found_here, self._found)

    def result(self) -> InstanceResult:
        """See `Program`; raises BundleError for class ids without a label."""
        count = int(self._state_here[KEPT])
        found = self._found_here.reshape(-1).view(_FOUND)[:count]
        if self._rule.rows == "detections":
            check_class_ids(found["class_id"], len(self.context.labels))
        codes = self._runs.codes(count)
        kept = np.flatnonzero(self._runs.boxes(count)[:, 2] > 0)
        return InstanceResult(
            boxes=self.geometry.clipped(found["moved"][kept]),
            scores=found["score"][kept],
            class_ids=found["class_id"][kept],
            rles=[codes[index] for index in kept],
            size=self.geometry.source_size,
            labels=self.context.labels,
            nonfinite_heads=int(self._state_here[BAD:].sum()),
        )

    def _find(self) -> None:
        """Put into the stream what leads to the detections that stand."""
        launch, table, state, most = self.workspace.launch, self._table, self._state[CANDIDATES], self._most
        bad_rows, across = self._state[STATE], blocks(table.anchors, 256)
        launch(
            "yolo", "check_predictions", (across, self._looked_at, 1), (256, 1, 1), table, bad_rows, state
        )  # fmt: skip
        launch(
            "yolo", "choose_anchors", (across, 1, 1), (256, 1, 1), table, bad_rows, self._class_of, self._keys, state
        )  # fmt: skip
        launch(
            "yolo", "sort_anchors", (across, 1, 1), (256, 1, 1),
            table, self._keys, most, self._sorted, self._found, state,
        )  # fmt: skip
        if self._rule.rows != "detections":
            launch(
                "yolo", "suppress", (1, 1, 1), (256, 1, 1),
                table, self._sorted, self._class_of, float(self._rule.iou_threshold),
                int(self._rule.across_classes), most, self._found, state,
            )  # fmt: skip


def _table(head: DeviceArray, prototypes: int, rule: PrototypeMasks, classes: int) -> _Predictions:
    length = rule.length(classes, prototypes)
    # Where both axes have this length, the anchors are counted along the second, as on the CPU.
    rows_first = head.shape[0] == length
    anchors = head.shape[1] if rows_first else head.shape[0]
    steps = (anchors, 1) if rows_first else (1, length)
    # numpy compares an objectness in the head's own precision.
    likely = head.dtype.type(rule.score_threshold)
    return _Predictions(
        numbers(head), *steps, anchors, length, classes, _ROWS.index(rule.rows), rule.score_threshold, likely
    )


def _box_cut(grid: tuple[int, int], geometry: Geometry, *, in_grid: bool) -> _BoxCut:
    top, left, bottom, right = geometry.window_on(grid)
    height, width = geometry.source_size
    row_ratio = np.float32(bottom - top) / np.float32(height)
    column_ratio = np.float32(right - left) / np.float32(width)
    return _BoxCut(in_grid, top, row_ratio, left, column_ratio)
