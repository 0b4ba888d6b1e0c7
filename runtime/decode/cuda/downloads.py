"""Several small arrays that lie one after the other on the GPU, so that they come down as one copy."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.inference.cuda.device_array import DeviceArray

_ALIGNMENT = 256  # bytes: where memory that is allocated for itself begins, too


class Download:
    """Arrays on the GPU (`device`) and their page-locked copies on the host (`host`), by name.

    `parts` are the name, dtype and shape of each. `enqueue` puts the copy into the stream.
    """

    def __init__(self, workspace: Workspace, parts: Mapping[str, tuple[npt.DTypeLike, tuple[int, ...]]]) -> None:
        self._workspace = workspace
        offsets, total = {}, 0
        for name, (dtype, shape) in parts.items():
            offsets[name] = total
            total += -(-math.prod(shape) * np.dtype(dtype).itemsize // _ALIGNMENT) * _ALIGNMENT
        self._there = workspace.device(np.uint8, total)
        self._here = workspace.pinned(np.uint8, total)
        self.device: dict[str, DeviceArray] = {}
        self.host: dict[str, npt.NDArray[Any]] = {}
        for name, (dtype, shape) in parts.items():
            kind = np.dtype(dtype)
            begin, count = offsets[name], math.prod(shape)
            self.device[name] = DeviceArray(self._there.address + begin, kind, shape, workspace.queue)
            self.host[name] = self._here[begin : begin + count * kind.itemsize].view(kind).reshape(shape)

    def enqueue(self) -> None:
        """Put the copy of all arrays to the host into the stream."""
        self._workspace.download(self._here, self._there)

    def upload(self, *names: str) -> None:
        """Put the copy of these arrays from the host's side back to the GPU into the stream."""
        queue = self._workspace.queue
        for name in names:
            queue.cuda.upload(self.device[name].address, self.host[name], queue.stream)
