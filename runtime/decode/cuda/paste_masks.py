"""Rule `paste_masks` on the GPU."""

from typing import cast

import numpy as np

from segrt.runtime.decode.cuda.detections import BAD, KEPT, STATE, box_map, numbers, scores_of
from segrt.runtime.decode.cuda.mask_runs import MaskRuns
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.query_view import view_of
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.paste_masks import PasteMasks, check_class_ids
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.inference.cuda.launching import block_of, blocks
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult

# `Pasted` of cpp_postproc/cuda/paste_masks.cu
_PASTED = np.dtype(
    [("box", np.float32, 4), ("rows", np.int32, 5), ("columns", np.int32, 5), ("index", np.int32), ("pad", np.int32),
     ("class_id", np.int64)]
)  # fmt: skip


class PasteMasksProgram(Program):
    """See `segrt.runtime.decode.paste_masks`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._rule = cast("PasteMasks", context.decode)
        self._boxes, self._scores, self._class_ids, self._masks = (
            numbers(heads[role]) for role in ("boxes", "scores", "class_ids", "masks")
        )
        self._count = heads["scores"].shape[0]
        self._cells = heads["masks"].shape[-2:]
        most = max(self._count, 1)
        self._view, _ = view_of((self._cells[0], self._cells[1]), None, geometry)
        self._map = box_map(geometry)
        self._state = workspace.device(np.int32, STATE)
        self._keys, self._sorted = workspace.device(np.uint64, most), workspace.device(np.uint64, most)
        self._pasted = workspace.device(np.uint8, most, _PASTED.itemsize)
        self._runs = MaskRuns(workspace, most, geometry.source_size, self._state[KEPT])
        self._here = [
            (workspace.pinned(array.dtype, *array.shape), array) for array in (self._state, self._sorted, self._pasted)
        ]

    @classmethod
    def why_not_rule(cls, decode: DecodeRule) -> str | None:
        """See `Program`."""
        other = cast("PasteMasks", decode).paste_rule
        return f"paste_rule {other} has no kernels" if other == "matterport" else None

    def enqueue(self) -> None:
        """See `Program`."""
        launch, most, state = self.workspace.launch, self._keys.shape[0], self._state[0]
        ranks, (rows, columns) = (blocks(self._count, 256), 1, 1), self._cells
        whole = self._rule.masks_in == "picture"
        self.workspace.clear(self._state)
        launch(
            "paste_masks", "choose_detections", ranks, (256, 1, 1),
            self._boxes, self._scores, self._count, float(self._rule.score_threshold), self._keys, state,
        )  # fmt: skip
        launch(
            "paste_masks", "place_detections", ranks, (256, 1, 1),
            self._boxes, self._class_ids, self._map, rows, columns, int(whole), self._keys, state, self._sorted,
            self._pasted, self._runs.reach,
        )  # fmt: skip
        launch(
            "paste_masks", "check_masks", (most, 1, 1), block_of(rows * columns),
            self._masks, rows * columns, self._pasted, state,
        )  # fmt: skip
        grid = self._runs.grid
        threshold, count, bits = float(self._rule.mask_threshold), self._state[KEPT], self._runs.bits
        if whole:
            launch(
                "paste_masks", "cut_whole", grid, self._runs.block,
                self._masks, self._view, threshold, self._pasted, count, bits,
            )  # fmt: skip
        else:
            launch(
                "paste_masks", "cut_pasted", grid, self._runs.block,
                self._masks, rows, columns, threshold, self._pasted, count, bits,
            )  # fmt: skip
        self._runs.enqueue()

    def download(self) -> None:
        """See `Program`."""
        self._runs.download()
        for host, array in self._here:
            self.workspace.download(host, array)

    def result(self) -> InstanceResult:
        """See `Program`; raises BundleError for class ids without a label."""
        state, keys, pasted = (host for host, _ in self._here)
        count = int(state[KEPT])
        chosen = pasted.reshape(-1).view(_PASTED)[:count]
        class_ids = chosen["class_id"] - self._rule.first_class
        check_class_ids(class_ids, self._rule, len(self.context.labels))
        return InstanceResult(
            chosen["box"].copy(),
            scores_of(keys[:count]),
            class_ids,
            self._runs.codes(count),
            self.geometry.source_size,
            self.context.labels,
            nonfinite_heads=int(state[BAD:].sum()),
        )
