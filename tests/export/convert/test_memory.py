"""What is freed during an export goes back to the system."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")

# Frees a block of 30 MB, from which glibc learns to keep smaller ones; then asks what a block of 8 MB does.
_PROGRAM = """
import ctypes, sys
from segrt.export.convert import memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks u f k".split()]
libc.mallinfo2.restype = Info
if sys.argv[1] == "apart":
    memory.keep_large_apart()
libc.free(libc.malloc(30 << 20))
before = libc.mallinfo2().hblks
libc.malloc(8 << 20)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_large_blocks_lie_on_their_own() -> None:
    def apart(how: str) -> str:
        return subprocess.run([sys.executable, "-c", _PROGRAM, how], check=True, capture_output=True, text=True).stdout

    assert [apart("as-it-is").strip(), apart("apart").strip()] == ["0", "1"]
