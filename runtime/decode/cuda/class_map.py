"""Rule `class_map` on the GPU."""

import ctypes

import numpy as np

from segrt.runtime.decode.class_map import ClassMap, nearest, refusal
from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.program import Heads, Program
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.launching import tiles
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import SemanticResult
from segrt.runtime.results.semantic import class_map_dtype

_BLOCK = (32, 8, 1)
_BEHIND_ALL = np.iinfo(np.uint32).max  # `kBehindAll` of the kernels


class _CellRange(ctypes.Structure):
    """`CellRange` of cpp_postproc/cuda/class_map.cu."""

    _fields_ = tuple((name, ctypes.c_int32) for name in ("top", "left", "bottom", "right"))


class _ClassIds(ctypes.Structure):
    """`ClassIds` of cpp_postproc/cuda/class_map.cu."""

    _fields_ = (
        ("void_id", ctypes.c_int64),
        ("labels", ctypes.c_int32),
        ("has_void", ctypes.c_int32),
        ("void_class", ctypes.c_int32),
    )


class ClassMapProgram(Program):
    """See `segrt.runtime.decode.class_map`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        grid = heads["class_map"]
        self._grid = grid[0] if len(grid.shape) == 3 else grid
        rows, columns = nearest(geometry, (self._grid.shape[0], self._grid.shape[1]))
        self._range = _CellRange(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        self._rows, self._columns = (workspace.upload(axis.astype(np.int32)) for axis in (rows, columns))
        dtype = class_map_dtype(len(context.labels))
        void = context.decode.void_value if isinstance(context.decode, ClassMap) else None
        self._ids = _ClassIds(void or 0, len(context.labels), void is not None, np.iinfo(dtype).max)
        self._out = Download(workspace, {"classes": (dtype, geometry.source_size), "first_wrong": (np.uint32, (1,))})

    def enqueue(self) -> None:
        """See `Program`."""
        there, width, shown = self._out.device, self._grid.shape[1], self._range
        kind = self._grid.dtype.name
        self.workspace.clear(there["first_wrong"])
        self.workspace.launch(
            "class_map", f"check_ids_{kind}",
            tiles(shown.right - shown.left, shown.bottom - shown.top, *_BLOCK[:2]), _BLOCK,
            self._grid, width, shown, self._ids, there["first_wrong"],
        )  # fmt: skip
        height, target_width = self.geometry.source_size
        self.workspace.launch(
            "class_map", f"take_classes_{kind}_{8 * there['classes'].dtype.itemsize}",
            tiles(target_width, height, *_BLOCK[:2]), _BLOCK,
            self._grid, width, self._rows, self._columns, height, target_width, self._ids, there["classes"],
        )  # fmt: skip

    def download(self) -> None:
        """See `Program`."""
        self._out.enqueue()

    def result(self) -> SemanticResult:
        """See `Program`; raise BundleError as the decoder on the CPU does."""
        first_wrong = int(self._out.host["first_wrong"][0])
        if first_wrong != 0:
            raise refusal(self._id_at(_BEHIND_ALL - first_wrong), len(self.context.labels))
        return SemanticResult.decided(self._out.kept("classes"), self.context.labels, classes=0)

    def _id_at(self, place: int) -> int:
        grid = self._grid
        return int(DeviceArray(grid.address + place * grid.dtype.itemsize, grid.dtype, (1,), grid.queue).download()[0])
