"""An array that lies on the GPU, and the queue of work that it belongs to.

Whoever goes on with heads on the GPU puts its work into the same queue, behind the network, and waits once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.cuda_errors import explained
from segrt.runtime.inference.cuda.interface import Cuda, Event, Stream


@dataclass(frozen=True)
class GpuTimes:
    """Milliseconds of one execution on the GPU, by its own clock; a copy that is not made takes 0.

    decode_ms: from the network's end to that of the kernels which were put behind it, where the heads stay on the GPU;
    download_ms: that of the heads, or of what those kernels made of them.
    preprocess_ms: that of the kernels that bring pictures to the network's inputs. begin_ms, end_ms: all of the frame's
    work, counted from the queue's `epoch`; 0 without one.
    """

    upload_ms: float
    inference_ms: float
    download_ms: float = 0.0
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    begin_ms: float = 0.0
    end_ms: float = 0.0


class GpuQueue(ABC):
    """The work of one slot on the GPU, in order: upload, network, then what a decoder adds to `stream`.

    `inputs` are the network's inputs on the GPU. `uploads` says whether `Backend.submit` copies the slot's host views
    there; who fills `inputs` in `stream` itself sets it to False for that frame (`Backend.release` sets it back), and
    calls `picture_begins` and `picture_uploaded` around the upload. A profiler sets `epoch` to have times on one scale.
    """

    cuda: Cuda
    stream: Stream
    inputs: Mapping[str, DeviceArray]
    uploads: bool = True
    epoch: Event | None = None

    def picture_begins(self) -> None:  # noqa: B027 (queues that tell no times need none)
        """Mark in the stream that a picture's upload follows."""

    def picture_uploaded(self) -> None:  # noqa: B027
        """Mark in the stream that the kernels which bring a picture to the inputs follow."""

    def decoded(self) -> None:  # noqa: B027
        """Mark in the stream that what was made of the heads there follows on its way to the host."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all that was put into `stream` is done.

        Raises DeviceLostError when the GPU is lost, BackendError for another failure.
        """

    @abstractmethod
    def own(self, thing: Any) -> Any:
        """Return `thing`, whose `free` is called before the queue is freed."""

    @abstractmethod
    def times(self) -> GpuTimes:
        """Return the times of the frame until the last `synchronize`; wait as it does where the work is newer."""


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """`shape` values of `dtype` at `address` of the GPU's memory, C-contiguous; valid as long as their slot is held.

    Its content is there for work in `queue.stream`, and for others after `queue.synchronize()`.
    """

    address: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    queue: GpuQueue

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The array as cupy, numba and torch take it (CUDA array interface, version 3)."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "version": 3,
            "stream": self.queue.stream.handle,
        }

    def __getitem__(self, index: int) -> DeviceArray:
        """Return place `index` of the first axis, which is the batch of a head; raise IndexError beyond it."""
        if not self.shape or not 0 <= index < self.shape[0]:
            raise IndexError(f"index {index} of an array of shape {list(self.shape)}")
        step = math.prod(self.shape[1:]) * self.dtype.itemsize
        return DeviceArray(self.address + index * step, self.dtype, self.shape[1:], self.queue)

    def download(self) -> npt.NDArray[Any]:
        """Wait for the queue's work; return a copy on the host. Raises as `GpuQueue.synchronize` does."""
        array = np.empty(self.shape, self.dtype)
        with self.queue.cuda.current(), explained("cuda"):
            self.queue.cuda.download(array, self.address, self.queue.stream)
            self.queue.stream.synchronize()
        return array
