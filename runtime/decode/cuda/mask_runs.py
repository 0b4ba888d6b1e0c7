"""Masks that lie on the GPU as bits, brought to the host as COCO's run-length codes."""

import ctypes

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.interface import Shape
from segrt.runtime.inference.cuda.launching import block_of, blocks
from segrt.runtime.postproc import Rle

_WORD = 32  # rows in a word of bits
_CUT_COLUMNS = 256  # of a block of `cut_mask`
_CHANGES_A_COLUMN = 16  # that there is room for, on average
_BYTES_A_CHANGE = 2
_BYTES_AT_ONCE = 4096  # of each code, which come down with a frame; what is longer takes a second wait
_MOST_BYTES_A_RUN = 7
_MOST_PLACES = 1 << 28


class MaskBits(ctypes.Structure):
    """`MaskBits` of cpp_postproc/cuda/mask_bits.h."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        ("reach", ctypes.c_void_p),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
    )


class _MaskTables(ctypes.Structure):
    _fields_ = (
        ("changes", ctypes.c_void_p),
        ("bytes", ctypes.c_void_p),
        ("box", ctypes.c_void_p),
        ("column_places", ctypes.c_void_p),
    )


class MaskRuns:
    """Up to `most` masks of a picture of `size` (H, W), as many as `count`, int32 (), says on the GPU.

    Other kernels write `bits`; then `enqueue` makes codes of them, and `download` brings them. After the frame's work
    is done, `boxes` and `codes` give what was found of the first masks.
    """

    def __init__(self, workspace: Workspace, most: int, size: tuple[int, int], count: DeviceArray) -> None:
        height, width = self._size = size
        self._workspace, self._most, self._count = workspace, most, count
        words = workspace.device(np.uint32, most, self.grid[1], width)
        reach = workspace.device(np.int32, most, 4)
        self.bits = MaskBits(words.address, reach.address, height, width)
        self.reach = reach
        self._found = workspace.device(np.int32, 6, most)  # changes, bytes, boxes (most, 4)
        self._found_here = workspace.pinned(np.int32, 6, most)
        column_places = workspace.device(np.int32, most, width)
        found = self._found
        self._tables = _MaskTables(found[0].address, found[1].address, found[2].address, column_places.address)
        room = min(max(most * width * _CHANGES_A_COLUMN, 1 << 10), _MOST_PLACES)
        self._places = workspace.device(np.uint32, room)
        self._codes = workspace.device(np.uint8, _BYTES_A_CHANGE * room)
        self._codes_here = workspace.pinned(np.uint8, min(most * _BYTES_AT_ONCE, _BYTES_A_CHANGE * room))

    @property
    def grid(self) -> Shape:
        """The grid of the kernels that cut masks (`cut_mask` of cpp_postproc/cuda/mask_cut.h)."""
        return blocks(self._size[1], _CUT_COLUMNS), -(-self._size[0] // _WORD), self._most

    @property
    def block(self) -> Shape:
        """Their block."""
        return 32, _CUT_COLUMNS // 32, 1

    def enqueue(self) -> None:
        """Put into the stream that the bits become codes."""
        launch, most = self._workspace.launch, (self._most, 1, 1)
        launch("mask_runs", "count_changes", most, block_of(self._size[1] + 1), self.bits, self._tables, self._count)
        self._write(self._workspace, self._places, self._codes)

    def download(self) -> None:
        """Put into the stream that the host gets the codes, or their beginning."""
        self._workspace.download(self._found_here, self._found)
        self._workspace.download(self._codes_here, self._codes)

    def boxes(self, count: int) -> npt.NDArray[np.int32]:
        """Return left, top, right, bottom of `count` masks' pixels, int32 (count, 4); all 0 for an empty mask."""
        boxes: npt.NDArray[np.int32] = self._found_here[2:].reshape(-1, 4)[:count].copy()
        return boxes

    def codes(self, count: int) -> list[Rle]:
        """Return the codes of `count` masks."""
        changes, nbytes = (row[:count].astype(np.int64) for row in self._found_here[:2])
        text = self._long_text(changes) if changes.sum() > self._places.shape[0] else self._text(changes, nbytes)
        nbytes = self._found_here[1, :count].astype(np.int64)
        ends = np.cumsum(nbytes).tolist()
        size = list(self._size)
        return [Rle(size=size.copy(), counts=text[a:b]) for a, b in zip([0, *ends], ends, strict=False)]

    def _text(self, changes: npt.NDArray[np.int64], nbytes: npt.NDArray[np.int64]) -> bytes:
        """Return all codes' bytes; those that did not come down with the frame are fetched."""
        total = int(nbytes.sum())
        if total > self._codes.shape[0]:
            return self._long_text(changes)
        if total <= self._codes_here.size:
            return self._codes_here[:total].tobytes()
        return self._fetch(self._codes, total)

    def _long_text(self, changes: npt.NDArray[np.int64]) -> bytes:
        """Return all codes' bytes where memory was too small for them: made anew from the bits, in larger memory."""
        queue = self._workspace.queue
        with queue.cuda.current():
            larger = self._workspace.another()
            try:
                room = max(int(changes.sum()), 1)
                codes = larger.device(np.uint8, _MOST_BYTES_A_RUN * (room + len(changes)))
                self._write(larger, larger.device(np.uint32, room), codes)
                self._workspace.download(self._found_here, self._found)
                queue.stream.synchronize()
                return self._fetch(codes, int(self._found_here[1, : len(changes)].sum(dtype=np.int64)))
            finally:
                larger.close()

    def _fetch(self, codes: DeviceArray, total: int) -> bytes:
        return DeviceArray(codes.address, codes.dtype, (total,), codes.queue).download().tobytes()

    def _write(self, workspace: Workspace, places: DeviceArray, codes: DeviceArray) -> None:
        width, room, code_room = self._size[1], places.shape[0], codes.shape[0]
        bits, tables, count, most = self.bits, self._tables, self._count, self._most
        across = -(-(width + 1) // 256)
        block = block_of(width)
        workspace.launch(
            "mask_runs", "write_changes", (across, most, 1), (256, 1, 1), bits, tables, count, places, room
        )
        workspace.launch("mask_runs", "measure_codes", (most, 1, 1), block, bits, tables, count, places, room)
        workspace.launch("mask_runs", "write_codes", (most, 1, 1), block, bits, tables, count, places, codes, code_room)
