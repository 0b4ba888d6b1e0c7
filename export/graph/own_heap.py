"""Memory between the steps of an export: given back to the system, or from a heap without the gaps of earlier work."""

import ctypes
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

_Result = TypeVar("_Result")


def give_back() -> None:
    """Return memory to the system that Python and the C library keep for later: a step of an export takes gigabytes."""
    gc.collect()  # networks have circles
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def in_own_heap(work: Callable[[], _Result]) -> _Result:
    """Do `work` in a thread of its own, and return what it returns; what it raises is raised here.

    glibc puts a block of any size where the main heap has a gap for it, and keeps the gap when the block is freed:
    where graphs and their weights were, DETR rounded to float16 held 0.7 GB so, a map that nobody read. A thread's
    heap comes in pieces of 64 MB: what is larger lies apart, and goes back to the system.
    """
    give_back()
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(copy_context().run, work).result()
