"""Rule `argmax` on the GPU."""

import numpy as np

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.label_kernels import BLOCK, label_grid, label_map
from segrt.runtime.decode.cuda.nonfinite import NonfiniteCount, number_of
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.taps import bilinear_taps, rows_used, upload_target
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult


class ArgmaxProgram(Program):
    """See `segrt.runtime.decode.argmax`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._logits = logits = heads["semantic_logits"]
        channels, height, width = logits.shape
        aligned = isinstance(context.decode, Argmax) and context.decode.align_corners
        top, left, bottom, right = geometry.window_on((height, width), align_corners=aligned)
        target_height, target_width = geometry.source_size
        rows = bilinear_taps(height, (top, bottom), target_height)
        columns = bilinear_taps(width, (left, right), target_width)
        self._target = upload_target(workspace, rows, columns)
        self._grid = label_grid(geometry.source_size)
        label = np.dtype(np.uint8 if channels <= 256 else np.uint16)
        self._kernel = f"argmax_{number_of(logits)}"
        self._out = Download(workspace, {"classes": (label, geometry.source_size), "bad": (np.int32, (1,))})
        self._count = NonfiniteCount.of(workspace, logits, rows_used(rows, height), self._out.device["bad"])

    def enqueue(self) -> None:
        """See `Program`."""
        self.workspace.clear(self._out.device["bad"])
        self._count.enqueue()
        channels, height, width = self._logits.shape
        self.workspace.launch(
            "argmax", self._kernel, self._grid, BLOCK,
            self._logits, channels, height, width, self._target, label_map(self._out.device["classes"]),
        )  # fmt: skip
        self._out.enqueue()

    def result(self) -> SemanticResult:
        """See `Program`."""
        out = self._out.host
        return SemanticResult(out["classes"].copy(), self.context.labels, nonfinite_heads=int(out["bad"][0] != 0))
