"""Rule `group_centers` on the GPU."""

import ctypes
from typing import cast

import numpy as np

from segrt.runtime import postproc
from segrt.runtime.decode.cuda.by_way import ByWay, Size, by_network
from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.nonfinite import NonfiniteCount, number_of
from segrt.runtime.decode.cuda.pixel_classes import PixelClasses
from segrt.runtime.decode.cuda.program import Heads, Program, UnfitHeadsError
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.merged_segments import described
from segrt.runtime.decode.processed_size import size_of
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.launching import tiles
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import PanopticResult

_BLOCK = (32, 8, 1)
_THREADS = (256, 1, 1)
_PAINTED = 2048  # pixels of a block
_MOST_LABELS = 1 << 16  # of pixels: groups and classes
_SEGMENT = np.dtype(
    [(name, "<i4") for name in ("class_id", "area", "left", "top", "right", "bottom", "query")] + [("score", "<f4")]
)
_EDGES = 4  # int32 of each label


class Grouping(ctypes.Structure):
    """`Grouping` of cpp_postproc/cuda/group_centers.cu."""

    _fields_ = (
        ("classes", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("offsets_way", ByWay),
        ("offset_scales", ctypes.c_float * 2),
        ("channels", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("most_centers", ctypes.c_int32),
        ("is_thing", ctypes.c_void_p),
        ("center_count", ctypes.c_void_p),
        ("centers", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("pixels", ctypes.c_void_p),
        ("edges", ctypes.c_void_p),
    )


class GroupCentersProgram(Program):
    """See `segrt.runtime.decode.group_centers`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        self._rule = rule = cast("GroupCenters", context.decode)
        self._logits, self._heat = heads["semantic_logits"], heads["center_heatmap"]
        self._offsets = heads["offsets"]
        self._size = (height, width) = geometry.source_size
        grid = _grid(self._logits)
        processed, window = size_of(rule.processed_size, geometry), geometry.window_on(grid)
        self._heat_way = by_network(_grid(self._heat), geometry)
        # Of top_k peaks or more, only those above the top_k-th value count.
        self._most_centers = max(1, min(rule.top_k - 1, height * width))
        self._most_segments = self._most_centers + self._logits.shape[0]
        groups, labels = self._most_centers + 1, self._most_segments + 1
        if labels > _MOST_LABELS:
            raise UnfitHeadsError(f"decode.top_k is {rule.top_k}, and the kernels tell {_MOST_LABELS} segments apart")
        # All that begins a frame as 0: counts of heads' bad values, peaks, pixels of (group, class), edges of labels.
        zeroed = workspace.device(np.int32, 4 + groups * self._logits.shape[0] + _EDGES * labels)
        self._zeroed, self._bad, self._peak_count = zeroed, _part(zeroed, 0, 3), _part(zeroed, 3, 1)
        self._heat_map = workspace.device(np.float32, height, width)
        self._peaks, self._kept = (
            workspace.device(np.int32, height, width),
            workspace.device(np.int32, self._most_centers),
        )
        self._centers = workspace.device(np.float32, 3, self._most_centers)
        self._center_count = workspace.device(np.int32, 1)
        self._classes = workspace.device(np.uint16, height, width)
        self._pixel_classes = PixelClasses(workspace, self._logits, window, processed, self._classes)
        self._labels = workspace.device(np.uint16, height, width)
        self._id_of_label = workspace.device(np.int32, labels)
        self._id = np.dtype(np.uint8 if self._most_segments < 256 else np.uint16)
        self._ids = Download(workspace, {"ids": (self._id, (height, width))})
        # What is downloaded beside the ids: how many segments, which heads are bad, the segments.
        self._found = workspace.device(np.int32, 4 + self._most_segments * _SEGMENT.itemsize // 4)
        self._found_on_host = workspace.pinned(np.int32, *self._found.shape)
        self._bad_on_host = workspace.pinned(np.int32, 3)
        self._job = self._grouping(groups)
        used = [
            self._pixel_classes.used_rows,
            *(np.ones(head.shape[1], np.uint8) for head in (self._heat, self._offsets)),
        ]
        self._counts = [
            NonfiniteCount.of(workspace, head, rows, _part(self._bad, place, 1))
            for place, (head, rows) in enumerate(zip((self._logits, self._heat, self._offsets), used, strict=True))
        ]
        edge = rule.nms_kernel
        self._radius = min((edge - 1) // 2, max(height, width))
        self._area_limit = min(max(rule.stuff_area_limit, 1), 2**31 - 1)

    def enqueue(self) -> None:
        """See `Program`."""
        self.workspace.clear(self._zeroed)
        self._find_centers()
        height, width = self._size
        self._pixel_classes.enqueue()
        self.workspace.launch(
            "group_centers", f"group_pixels_{number_of(self._offsets)}",
            tiles(width, height, 32, 32), _BLOCK, self._job,
        )  # fmt: skip
        self.workspace.launch(
            "group_centers", "choose_grouped_segments", (1, 1, 1), _THREADS,
            self._job, self._area_limit, self._id_of_label, _part(self._found, 4, self._found.shape[0] - 4),
            _part(self._found, 0, 1),
        )  # fmt: skip
        self.workspace.launch(
            "group_centers", f"paint_groups_{8 * self._id.itemsize}",
            tiles(height * width, 1, _PAINTED, 1), _THREADS,
            self._labels, self._id_of_label, height * width, self._ids.device["ids"],
        )  # fmt: skip
        for count in self._counts:
            count.enqueue()

    def download(self) -> None:
        """See `Program`."""
        self.workspace.download(self._found_on_host, self._found)
        self.workspace.download(self._bad_on_host, self._bad)
        self._ids.enqueue()

    def result(self) -> PanopticResult:
        """See `Program`."""
        count = int(self._found_on_host[0])
        table = self._found_on_host[4:].view(_SEGMENT)[:count]
        merged = [
            postproc.MergedSegment(
                number, class_id, min(score, 1.0), area, (left, top, right - left, bottom - top), query
            )
            for number, (class_id, area, left, top, right, bottom, query, score) in enumerate(table.tolist(), 1)
        ]
        labels = self.context.labels
        bad = int(np.count_nonzero(self._bad_on_host))
        return PanopticResult.decided(self._ids.kept("ids"), described(merged, labels), labels, nonfinite_heads=bad)

    def _grouping(self, groups: int) -> Grouping:
        height, width = self._size
        top, left, bottom, right = self.geometry.window_on(_grid(self._offsets))
        channels = self._logits.shape[0]
        things = np.array([label.isthing for label in self.context.labels], np.uint8)
        is_thing = np.zeros(channels, np.uint8)
        is_thing[: len(things)] = things[:channels]
        pixels = _part(self._zeroed, 4, groups * channels)
        edges = _part(self._zeroed, 4 + groups * channels, self._zeroed.shape[0] - 4 - groups * channels)
        return Grouping(
            self._classes.address,
            self._offsets.address,
            by_network(_grid(self._offsets), self.geometry),
            (ctypes.c_float * 2)(height / (bottom - top), width / (right - left)),
            channels,
            height,
            width,
            self._most_centers,
            self.workspace.upload(is_thing).address,
            self._center_count.address,
            self._centers.address,
            self._labels.address,
            pixels.address,
            edges.address,
        )

    def _find_centers(self) -> None:
        (height, width), rule = self._size, self._rule
        grid = tiles(width, height, 32, 8)
        self.workspace.launch(
            "centers", f"heat_of_pixels_{number_of(self._heat)}", grid, _BLOCK,
            self._heat, self._heat_way, height, width, self._heat_map,
        )  # fmt: skip
        self.workspace.launch(
            "centers", "find_peaks", grid, _BLOCK,
            self._heat_map, height, width, max(rule.score_threshold, 0.0), self._radius, self._peaks, self._peak_count,
        )  # fmt: skip
        self.workspace.launch(
            "centers", "choose_centers", (1, 1, 1), _THREADS,
            self._heat_map, width, self._peaks, self._peak_count, min(rule.top_k, 2**31 - 1), self._most_centers,
            self._kept, self._centers, self._center_count,
        )  # fmt: skip


def _grid(head: DeviceArray) -> Size:
    return head.shape[1], head.shape[2]


def _part(array: DeviceArray, begin: int, count: int) -> DeviceArray:
    """Return `count` elements of a flat array from `begin` on."""
    return DeviceArray(array.address + begin * array.dtype.itemsize, array.dtype, (count,), array.queue)
