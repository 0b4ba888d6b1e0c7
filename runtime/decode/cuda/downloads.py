"""Several arrays that lie one after the other on the GPU, so that they come down as one copy."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.inference.cuda.device_array import DeviceArray

_ALIGNMENT = 256  # bytes: where memory that is allocated for itself begins, too


class Download:
    """Arrays on the GPU (`device`) and a frame's page-locked copies on the host (`host`), by name.

    `parts` are the name, dtype and shape of each. `enqueue` puts the copy into the stream; `host` is valid until then.
    """

    def __init__(self, workspace: Workspace, parts: Mapping[str, tuple[npt.DTypeLike, tuple[int, ...]]]) -> None:
        self._workspace = workspace
        self._places: dict[str, tuple[int, int, np.dtype[Any], tuple[int, ...]]] = {}
        total = 0
        for name, (dtype, shape) in parts.items():
            kind = np.dtype(dtype)
            self._places[name] = (total, total + math.prod(shape) * kind.itemsize, kind, shape)
            total += -(-math.prod(shape) * kind.itemsize // _ALIGNMENT) * _ALIGNMENT
        self._there = workspace.device(np.uint8, total)
        self._memory = workspace.lent(total)
        self.device: dict[str, DeviceArray] = {
            name: DeviceArray(self._there.address + begin, kind, shape, workspace.queue)
            for name, (begin, _, kind, shape) in self._places.items()
        }
        self._here: npt.NDArray[np.uint8] | None = None
        self.host: dict[str, npt.NDArray[Any]] = {}
        workspace.at_close(self._let_go)

    def enqueue(self) -> None:
        """Put the copy of all arrays to the host into the stream, into memory that no earlier frame's result has."""
        self._let_go()  # what was not kept is used again
        self._here = here = self._memory.take()
        self.host = {
            name: here[begin:end].view(kind).reshape(shape) for name, (begin, end, kind, shape) in self._places.items()
        }
        self.enqueue_again()

    def enqueue_again(self) -> None:
        """Put the copy into the same memory once more."""
        assert self._here is not None
        self._workspace.download(self._here, self._there)

    def _let_go(self) -> None:
        self._here, self.host = None, {}

    def upload(self, *names: str) -> None:
        """Put the copy of these arrays from the host's side back to the GPU into the stream."""
        queue = self._workspace.queue
        for name in names:
            queue.cuda.upload(self.device[name].address, self.host[name], queue.stream)

    def kept(self, name: str) -> npt.NDArray[Any]:
        """Return an array of the frame for a result, which may keep it for ever."""
        array = self.host[name]
        return array.copy() if self._memory.is_spent else array
