"""Rule `query_instances` on the GPU."""

from typing import cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.detections import indices_of, scores_of
from segrt.runtime.decode.cuda.mask_runs import MaskRuns
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.query_view import CellWindow, cells_within, view_of
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.processed_size import size_of
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.launching import block_of, blocks
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult

_PAIRS, _QUERIES, _BAD_SCORES, _BAD_MASKS, _TAKEN = range(5)  # `PairState`, and behind it a mark for each query
_SCORES_A_BLOCK = 8
_MEANS_A_BLOCK = 16
_UNITS = 2.0**25  # `kUnits` of query_masks.cu


class QueryInstancesProgram(Program):
    """See `segrt.runtime.decode.query_instances`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._rule = rule = cast("QueryInstances", context.decode)
        self._classes, self._masks = heads["class_logits"], heads["mask_logits"]
        self._columns = self._classes.shape[1]
        self._class_count = self._columns - (rule.activation == "softmax")
        queries, grid_height, grid_width = self._masks.shape
        pairs = queries * self._class_count
        self._wanted = wanted = min(rule.top_k, pairs)
        most = min(queries, wanted)
        grid = (grid_height, grid_width)
        self._view, window = view_of(grid, size_of(rule.processed_size, geometry), geometry)
        self._grid_window = cells_within(geometry.window_on(grid), grid)
        shown = (self._view.rows.source_length, self._view.columns.source_length)
        self._window: CellWindow = cells_within(window, shown)

        self._state = workspace.device(np.int32, _TAKEN + queries)
        self._scores = workspace.device(np.uint32, pairs)
        self._keys, self._sorted = workspace.device(np.uint64, wanted), workspace.device(np.uint64, wanted)
        self._queries = workspace.device(np.int32, most)
        self._processed = workspace.device(np.int32, most, 4)
        self._means = workspace.device(np.uint64, most, 2)
        self._runs = MaskRuns(workspace, most, geometry.source_size, self._state[_QUERIES])
        self._here = [
            (workspace.pinned(array.dtype, *shape), array)
            for array, shape in (
                (self._state, (_TAKEN,)),
                (self._sorted, (wanted,)),
                (self._queries, (most,)),
                (self._means, (most, 2)),
            )
        ]

    def enqueue(self) -> None:
        """See `Program`."""
        self.workspace.clear(self._state)
        self._choose_pairs()
        launch, most, number = self.workspace.launch, self._queries.shape[0], _number(self._masks)
        width = self.geometry.source_size[1]
        view, count, bits = self._view, self._state[_QUERIES], self._runs.bits
        grid_cells = self._masks.shape[1] * self._masks.shape[2]
        launch(
            "query_masks", f"survey_masks_{number}", (most, 1, 1), block_of(grid_cells),
            self._masks, self._queries, count, view, self._grid_window, self._runs.reach, self._processed, self._means,
            self._state[_BAD_MASKS],
        )  # fmt: skip
        launch(
            "query_masks", f"cut_masks_{number}",
            self._runs.grid, self._runs.block,
            self._masks, self._queries, count, view, bits,
        )  # fmt: skip
        if self._weighs and self._rule.score_at == "processed":
            across = blocks(view.columns.source_length, _MEANS_A_BLOCK)
            self._clear_means()
            launch(
                "query_masks", f"processed_means_{number}", (across, most, 1), (256, 1, 1),
                self._masks, self._queries, count, view, self._window, self._processed, self._means,
            )  # fmt: skip
        elif self._weighs and self._rule.score_at == "picture":
            self._clear_means()
            launch(
                "query_masks", f"picture_means_{number}", (blocks(width, _MEANS_A_BLOCK), most, 1), (256, 1, 1),
                self._masks, self._queries, count, view, bits, self._means,
            )  # fmt: skip
        self._runs.enqueue()

    def download(self) -> None:
        """See `Program`."""
        self._runs.download()
        for host, array in self._here:
            self.workspace.download(host, array)

    def result(self) -> InstanceResult:
        """See `Program`."""
        state, keys, queries, means = (host for host, _ in self._here)
        pairs, used = int(state[_PAIRS]), int(state[_QUERIES])
        slot_of = dict(zip(queries[:used].tolist(), range(used), strict=True))
        index = indices_of(keys[:pairs])
        slots = np.array([slot_of[query] for query in (index // self._class_count).tolist()], np.intp)
        boxes = self._runs.boxes(used)[slots]
        scores = scores_of(keys[:pairs]) * self._qualities(means[:used])[slots]
        kept = np.flatnonzero((boxes[:, 2] > 0) & (scores > np.float32(self._rule.score_threshold)))
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        codes = self._runs.codes(used)
        return InstanceResult(
            boxes[kept].astype(np.float32),
            scores[kept],
            index[kept] % self._class_count,
            [codes[slot] for slot in slots[kept].tolist()],
            self.geometry.source_size,
            self.context.labels,
            nonfinite_heads=int(state[_BAD_SCORES]) + int(state[_BAD_MASKS]),
        )

    @property
    def _weighs(self) -> bool:
        return self._rule.activation == "softmax"

    def _qualities(self, means: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
        """Return the factors of the masks' scores, float32."""
        if not self._weighs:
            return np.ones(len(means), np.float32)
        return (means[:, 0] / _UNITS / (means[:, 1] + 1e-6)).astype(np.float32)

    def _choose_pairs(self) -> None:
        launch, state = self.workspace.launch, self._state[_PAIRS]
        queries, pairs = self._classes.shape[0], self._scores.shape[0]
        launch(
            "query_pairs", f"{self._rule.activation}_scores_{_number(self._classes)}",
            (blocks(queries, _SCORES_A_BLOCK), 1, 1), (32, _SCORES_A_BLOCK, 1),
            self._classes, queries, self._columns, float(self._rule.score_threshold), self._scores, state,
        )  # fmt: skip
        launch(
            "query_pairs", "choose_pairs", (1, 1, 1), block_of(pairs),
            self._scores, pairs, self._wanted, self._keys, state,
        )  # fmt: skip
        launch(
            "query_pairs", "sort_pairs", (blocks(self._wanted, 256), 1, 1), (256, 1, 1),
            self._keys, self._class_count, self._sorted, self._queries, self._state[_TAKEN], state,
        )  # fmt: skip

    def _clear_means(self) -> None:
        """Let the means be taken anew: the survey has left the grid's."""
        self.workspace.clear(self._means)


def _number(head: DeviceArray) -> str:
    return "half" if head.dtype == np.float16 else "float"
