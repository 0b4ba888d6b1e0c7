"""Work whose memory comes from a heap of its own, without the gaps that earlier work left."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

_Result = TypeVar("_Result")


def in_own_heap(work: Callable[[], _Result]) -> _Result:
    """Do `work` in a thread of its own, and return what it returns; what it raises is raised here.

    glibc puts a block of any size where the main heap has a gap for it, and keeps the gap when the block is freed:
    where graphs and their weights were, DETR rounded to float16 held 0.7 GB so, a map that nobody read. A thread's
    heap comes in pieces of 64 MB: what is larger lies apart, and goes back to the system.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(copy_context().run, work).result()
