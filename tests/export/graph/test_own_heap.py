"""What is done in a heap of its own finds no gap of the main heap, and is otherwise as if it was done here."""

import subprocess
import sys
import threading

import pytest

pytest.importorskip("torch")

from segrt.export.graph.own_heap import in_own_heap
from segrt.runtime.inference.onnxruntime.network_session import little_memory, session_options

# Leaves a gap of 160 MB in the heap, and asks whether a block of 100 MB then lies apart.
_PROGRAM = """
import ctypes, sys
from segrt.export.graph.own_heap import in_own_heap
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks u f k".split()]
libc.mallinfo2.restype = Info
libc.free(libc.malloc(30 << 20))
blocks = [libc.malloc(16 << 20) for _ in range(11)]
for block in blocks[:-1]:
    libc.free(block)
def apart():
    before = libc.mallinfo2().hblks
    libc.malloc(100 << 20)
    return libc.mallinfo2().hblks - before
print(in_own_heap(apart) if sys.argv[1] == "own" else apart())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_a_large_block_lies_in_no_gap_of_the_main_heap() -> None:
    def apart(how: str) -> str:
        done = subprocess.run([sys.executable, "-c", _PROGRAM, how], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert [apart("main"), apart("own")] == ["0", "1"]


def test_settings_results_and_errors_pass() -> None:
    with little_memory():
        assert in_own_heap(lambda: session_options(1).enable_mem_reuse) is False
    assert in_own_heap(threading.get_ident) != threading.get_ident()
    with pytest.raises(ValueError, match="as it was"):
        in_own_heap(_fails)


def _fails() -> None:
    raise ValueError("as it was")
