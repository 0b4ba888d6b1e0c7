"""A picture that lies on the GPU, and the memory that such pictures take turns in."""

import weakref
from collections import deque
from contextlib import suppress
from threading import Lock, RLock
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import BackendError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.cuda.cuda_errors import explained
from segrt.runtime.inference.cuda.interface import Cuda, DeviceBuffer, Stream
from segrt.runtime.inference.cuda.kernels import Kernels, kernels_on
from segrt.runtime.preprocess.cuda.video_kernels import sample_launch

_Array = TypeVar("_Array", bound=npt.NDArray[Any])
_KEPT = 16  # buffers that wait for the next picture; more are freed


class DevicePicture:
    """uint8 BGR `shape` (H, W, 3), without gaps, at `address` of the GPU's memory; nobody writes into it.

    Its memory goes back to whoever made it when nobody refers to the picture any more.
    """

    def __init__(self, pictures: "PictureMemory", buffer: DeviceBuffer, size: tuple[int, int]) -> None:
        self.shape = (*size, 3)
        self.address = buffer.address
        self._pictures = pictures
        self._lock = Lock()
        self._on_host: Picture | None = None
        weakref.finalize(self, pictures.give_back, buffer).atexit = False

    def array(self) -> Picture:
        """Return the picture on the host, which is copied there once; several threads may ask.

        Raises DeviceLostError when the GPU is lost.
        """
        with self._lock:
            if self._on_host is None:
                self._on_host = self._pictures.download(self.address, self.shape)
            return self._on_host

    def every(self, rows: int, columns: int) -> Picture:
        """Return each `rows`-th row of each `columns`-th column, `array()[::rows, ::columns]`, copying no more."""
        with self._lock:
            if self._on_host is not None:
                return self._on_host[::rows, ::columns]
            return self._pictures.sample(self.address, self.shape, (rows, columns))


class PictureMemory:
    """Memory for pictures of one size after the other, and what copies them to the host, in `stream`."""

    def __init__(self, cuda: Cuda, stream: Stream, kernels: Kernels | None = None) -> None:
        self.cuda, self.stream = cuda, stream
        self.kernels = kernels or kernels_on(cuda)
        self._free: deque[DeviceBuffer] = deque()
        self._samples: DeviceBuffer | None = None
        self._lock = RLock()  # a picture may come back wherever the collector runs, also inside
        self._lent: set[DeviceBuffer] = set()
        self._closed = False
        self._what = f"video on {cuda.device.name}"

    def picture(self, size: tuple[int, int]) -> DevicePicture:
        """Return a picture of `size` (H, W) that nothing has been written into; the device must be current."""
        nbytes = size[0] * size[1] * 3
        with self._lock:
            while self._free and self._free[0].nbytes != nbytes:
                self._free.popleft().free()
            buffer = self._free.popleft() if self._free else self.cuda.alloc(nbytes)
            self._lent.add(buffer)
        return DevicePicture(self, buffer, size)

    def give_back(self, buffer: DeviceBuffer) -> None:
        """Take the memory of a picture that is no more; called from any thread."""
        with self._lock:
            self._lent.discard(buffer)
            if not self._closed and len(self._free) < _KEPT:
                self._free.append(buffer)
                return
            with suppress(BackendError):  # a lost device takes nothing back, and nobody could be told here
                with self.cuda.current():
                    buffer.free()
                self._end_if_done()

    def download(self, address: int, shape: tuple[int, ...]) -> Picture:
        """Return a copy of a picture on the host."""
        picture = np.empty(shape, np.uint8)
        with self.cuda.current(), explained(self._what):
            self.cuda.download(picture, address, self.stream)
            self.stream.synchronize()
        return picture

    def sample(self, address: int, shape: tuple[int, ...], steps: tuple[int, int]) -> Picture:
        """Return every so many pixels of a picture on the host."""
        sampled = np.empty((-(-shape[0] // steps[0]), -(-shape[1] // steps[1]), 3), np.uint8)
        with self._lock, self.cuda.current(), explained(self._what):
            if self._samples is None or self._samples.nbytes < sampled.nbytes:
                if self._samples is not None:
                    self._samples.free()
                self._samples = None
                self._samples = self.cuda.alloc(sampled.nbytes)
            launch = sample_launch(address, shape[1], steps, self._samples.address, sampled.shape)
            function = self.kernels.function("video", "every_pixel")
            self.cuda.launch(function, launch.grid, launch.block, launch.parameters, self.stream)
            self.cuda.download(sampled, self._samples.address, self.stream)
            self.stream.synchronize()
        return sampled

    def close(self) -> None:
        """Free what is not lent; the rest is freed as it comes back. A lost device takes nothing back."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with suppress(BackendError), self.cuda.current():
                while self._free:
                    self._free.popleft().free()
                self._end_if_done()

    def _end_if_done(self) -> None:
        """Let go of what pictures need as long as there are some."""
        if self._closed and not self._lent:
            if self._samples is not None:
                self._samples.free()
                self._samples = None
            self.stream.free()


def on_host(picture: _Array | DevicePicture) -> _Array | Picture:
    """Return a picture as an array on the host, wherever it lies."""
    return picture.array() if isinstance(picture, DevicePicture) else picture
