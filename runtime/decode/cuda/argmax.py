"""Rule `argmax` on the GPU."""

import numpy as np

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.launching import axis_map, tiles
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult

_TILE = (32, 32)  # pixels of a block of 32 x 8 threads


class ArgmaxProgram(Program):
    """See `segrt.runtime.decode.argmax`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._logits = logits = heads["semantic_logits"]
        channels, height, width = logits.shape
        aligned = isinstance(context.decode, Argmax) and context.decode.align_corners
        top, left, bottom, right = geometry.window_on((height, width), align_corners=aligned)
        target_height, target_width = geometry.source_size
        self._rows = axis_map(height, (top, bottom), target_height)
        self._columns = axis_map(width, (left, right), target_width)
        self._grid = tiles(target_width, target_height, *_TILE)
        label = np.dtype(np.uint8 if channels <= 256 else np.uint16)
        number = "half" if logits.dtype == np.float16 else "float"
        self._kernel = f"argmax_{number}_{8 * label.itemsize}"
        self._classes = workspace.device(label, target_height, target_width)
        self._on_host = workspace.pinned(label, target_height, target_width)

    def enqueue(self) -> None:
        """See `Program`."""
        channels = self._logits.shape[0]
        self.workspace.launch(
            "argmax", self._kernel, self._grid, (32, 8, 1),
            self._logits, channels, self._rows, self._columns, self._classes,
        )  # fmt: skip
        self.workspace.download(self._on_host, self._classes)

    def result(self) -> SemanticResult:
        """See `Program`."""
        return SemanticResult(self._on_host.copy(), self.context.labels)
