"""Results lie in page-locked memory that comes back when the last view of it is gone, and is bounded."""

import gc

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda

from segrt.runtime.decode.cuda import lent_memory
from segrt.runtime.decode.cuda.downloads import Download
from segrt.runtime.decode.cuda.lent_memory import LentMemory
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.inference.cuda.device_array import GpuQueue


def test_a_block_is_used_again_once_no_view_of_it_is_left() -> None:
    cuda = EmulatedCuda()
    memory = LentMemory(cuda, 1000)
    first = memory.take()
    view = first[10:20].view(np.uint16)
    address = first.ctypes.data
    del first
    assert memory.take().ctypes.data != address, "a view of it is still there"
    del view
    assert {memory.take().ctypes.data for _ in range(2)} <= {address, memory.take().ctypes.data}
    assert cuda.alive == 2
    memory.close()
    assert cuda.alive == 0


def test_what_is_out_when_the_memory_is_closed_is_freed_when_it_comes_back() -> None:
    cuda = EmulatedCuda()
    memory = LentMemory(cuda, 1000)
    kept = memory.take()
    kept[:] = 7
    memory.close()
    assert cuda.alive == 1
    assert (kept == 7).all()
    del kept
    gc.collect()
    assert cuda.alive == 0


def test_results_that_are_kept_in_numbers_are_copied_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lent_memory, "_MOST_LENT", 4 * 4096)
    cuda = EmulatedCuda()
    queue = _Queue(cuda)
    workspace = Workspace(queue, None)  # type: ignore[arg-type]
    download = Download(workspace, {"classes": (np.uint8, (64, 64))})
    kept = []
    for value in range(40):
        queue.stream.put("", lambda value=value: _fill(download, value))
        download.enqueue()
        queue.stream.synchronize()
        kept.append(download.kept("classes"))
    assert [int(array[5, 5]) for array in kept] == list(range(40)), "none changed when the next came"
    blocks = sum(array.base is not None for array in kept)
    assert blocks <= 5
    assert cuda.alive <= 2 + blocks + 1
    workspace.close()
    kept.clear()
    gc.collect()
    assert cuda.alive == 1, "the stream"


def _fill(download: Download, value: int) -> None:
    import ctypes

    array = download.device["classes"]
    ctypes.memset(array.address, value, array.nbytes)


class _Queue(GpuQueue):
    def __init__(self, cuda: EmulatedCuda) -> None:
        self.cuda, self.stream, self.inputs = cuda, cuda.stream(), {}

    def synchronize(self) -> None:
        self.stream.synchronize()

    def own(self, thing):  # type: ignore[no-untyped-def]
        return thing

    def times(self):  # type: ignore[no-untyped-def]
        raise NotImplementedError
