"""Page-locked memory that goes out with results and comes back when nobody looks at them any more.

A result that is copied out of page-locked memory costs a copy and, where the process has no such memory left, as many
page faults: more than the GPU takes to decide its pixels. What is lent instead is bounded, for page-locked memory is
the whole system's: beyond `_MOST_LENT` results are copied after all.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import Cuda, HostBuffer

_MOST_LENT = 64 << 20  # bytes, of one size of pictures in one slot


class LentMemory:
    """Blocks of `nbytes` each, all of one size; use inside `cuda.current()`."""

    def __init__(self, cuda: Cuda, nbytes: int) -> None:
        self._cuda, self._nbytes = cuda, nbytes
        self._most = max(2, _MOST_LENT // max(1, nbytes))
        self._here: deque[HostBuffer] = deque()
        self._made = 0
        self._open = True

    def take(self) -> npt.NDArray[np.uint8]:
        """Return a block, uint8 (nbytes,), which comes back when the last view of it is gone."""
        try:
            buffer = self._here.pop()
        except IndexError:
            buffer = self._cuda.alloc_pinned(self._nbytes)
            self._made += 1
        return np.asarray(_Loan(self, buffer, self._nbytes))

    @property
    def is_spent(self) -> bool:
        """Whether so much is out that what was taken last should be copied and let go."""
        return self._made - len(self._here) > self._most

    def close(self) -> None:
        """Free what is here, and what is out as soon as it comes back."""
        self._open = False
        while self._here:
            self._here.pop().free()

    def give_back(self, buffer: HostBuffer) -> None:
        """Take a block back; called from whatever thread drops the last view."""
        self._here.append(buffer)
        if not self._open:
            with suppress(CudaError), self._cuda.current():  # a lost device takes nothing back
                self.close()


class _Loan:
    """What numpy's views of a block refer to."""

    def __init__(self, owner: LentMemory, buffer: HostBuffer, nbytes: int) -> None:
        self._owner, self._buffer = owner, buffer
        self.__array_interface__: dict[str, Any] = {
            "shape": (nbytes,),
            "typestr": "|u1",
            "data": (buffer.array.ctypes.data, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._owner.give_back(self._buffer)
