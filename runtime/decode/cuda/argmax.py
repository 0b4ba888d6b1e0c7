"""Rule `argmax` on the GPU."""

import numpy as np

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.nonfinite import NonfiniteCount
from segrt.runtime.decode.cuda.pixel_classes import PixelClasses
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.processed_size import size_of
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult


class ArgmaxProgram(Program):
    """See `segrt.runtime.decode.argmax`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        logits = heads["semantic_logits"]
        channels, height, width = logits.shape
        rule = context.decode if isinstance(context.decode, Argmax) else Argmax()
        window = geometry.window_on((height, width), align_corners=rule.align_corners)
        processed = size_of(rule.processed, geometry)
        label = np.dtype(np.uint8 if channels <= 256 else np.uint16)
        self._out = Download(workspace, {"classes": (label, geometry.source_size), "bad": (np.int32, (1,))})
        self._pixel_classes = PixelClasses(workspace, logits, window, processed, self._out.device["classes"])
        self._count = NonfiniteCount.of(workspace, logits, self._pixel_classes.used_rows, self._out.device["bad"])

    def enqueue(self) -> None:
        """See `Program`."""
        self.workspace.clear(self._out.device["bad"])
        self._count.enqueue()
        self._pixel_classes.enqueue()

    def download(self) -> None:
        """See `Program`."""
        self._out.enqueue()

    def result(self) -> SemanticResult:
        """See `Program`."""
        bad = int(self._out.host["bad"][0] != 0)
        return SemanticResult.decided(
            self._out.kept("classes"),
            self.context.labels,
            classes=self.heads["semantic_logits"].shape[0],
            nonfinite_heads=bad,
        )
