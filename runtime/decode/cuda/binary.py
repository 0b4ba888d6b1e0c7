"""Rule `binary` on the GPU."""

import ctypes
from typing import cast

import numpy as np

from segrt.runtime.decode.binary import Binary, cut_of
from segrt.runtime.decode.class_map import nearest
from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.nonfinite import NonfiniteCount, number_of
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.taps import bilinear_taps, rows_used, upload_target
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.launching import tiles
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.semantic import void_value

_BLOCK = (32, 8, 1)
_CUT_TILE = (32, 64)  # pixels of a block
_LARGEST = 3e38  # what the core limits thresholds to


class _BinaryCut(ctypes.Structure):
    """`BinaryCut` of cpp_postproc/cuda/binary.cu."""

    _fields_ = (("threshold", ctypes.c_float), ("object", ctypes.c_int32), ("other", ctypes.c_int32))


class BinaryProgram(Program):
    """See `segrt.runtime.decode.binary`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._rule = rule = cast("Binary", context.decode)
        scores = heads["object_scores"]
        self._scores = scores if len(scores.shape) == 3 else _with_channel(scores)
        values = (1, 0) if len(context.labels) > 1 else (0, void_value(np.uint8, 1))
        self._cut = _BinaryCut(min(max(cut_of(rule), -_LARGEST), _LARGEST), *values)
        self._number = "byte" if scores.dtype == np.uint8 else number_of(scores)
        self._out = Download(workspace, {"classes": (np.uint8, geometry.source_size), "bad": (np.int32, (1,))})
        self._count: NonfiniteCount | None = None
        if rule.scores == "mask":
            places = nearest(geometry, (self._scores.shape[1], self._scores.shape[2]))
            self._places = [workspace.upload(axis.astype(np.int32)) for axis in places]
        else:
            self._prepare_cut()

    def _prepare_cut(self) -> None:
        _, height, width = self._scores.shape
        window = self.geometry.window_on((height, width), align_corners=self._rule.align_corners)
        top, left, bottom, right = window
        target_height, target_width = self.geometry.source_size
        rows = bilinear_taps(height, (top, bottom), target_height)
        columns = bilinear_taps(width, (left, right), target_width)
        self._target = upload_target(self.workspace, rows, columns)
        if self._number != "byte":
            used = rows_used(rows, height)
            self._count = NonfiniteCount.of(self.workspace, self._scores, used, self._out.device["bad"])

    def enqueue(self) -> None:
        """See `Program`."""
        self.workspace.clear(self._out.device["bad"])
        height, width = self.geometry.source_size
        _, grid_height, grid_width = self._scores.shape
        classes = self._out.device["classes"]
        if self._rule.scores == "mask":
            self.workspace.launch(
                "binary", f"take_mask_{self._number}", tiles(width, height, *_BLOCK[:2]), _BLOCK,
                self._scores, grid_width, *self._places, height, width, self._cut, classes,
            )  # fmt: skip
        else:
            what = "probabilities" if self._rule.enlarge == "probabilities" else "scores"
            self.workspace.launch(
                "binary", f"cut_{what}_{self._number}", tiles(width, height, *_CUT_TILE), _BLOCK,
                self._scores, grid_height, grid_width, self._target, self._cut, classes,
            )  # fmt: skip
        if self._count is not None:
            self._count.enqueue()

    def download(self) -> None:
        """See `Program`."""
        self._out.enqueue()

    def result(self) -> SemanticResult:
        """See `Program`."""
        bad = int(self._out.host["bad"][0] != 0)
        return SemanticResult.decided(self._out.kept("classes"), self.context.labels, classes=1, nonfinite_heads=bad)


def _with_channel(scores: DeviceArray) -> DeviceArray:
    return DeviceArray(scores.address, scores.dtype, (1, *scores.shape), scores.queue)
