"""The buffers, copies and marks of one slot, whatever executes the network: shared by TensorRT and ONNX Runtime.

Copies and computation of a slot are in one stream, so they follow each other; two slots overlap. On GPUs that share
the host's memory (Jetson) the network reads and writes the host's buffers and nothing is copied.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.cuda_errors import CudaError, explained
from segrt.runtime.inference.cuda.device_array import DeviceArray, GpuQueue, GpuTimes
from segrt.runtime.inference.cuda.interface import Cuda

Array = npt.NDArray[Any]
_NO_TIMES = GpuTimes(0.0, 0.0, 0.0)


class FixedTensor(Protocol):
    """Name, dtype and shape of an input or head."""

    @property
    def name(self) -> str:
        """What it is called in the network."""

    @property
    def dtype(self) -> str:
        """Its dtype by numpy's name."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """Its shape."""


class SlotQueue(GpuQueue):
    """One batch's way over the GPU: fill `host_inputs`, `start`, then read `host_heads` after `synchronize`.

    `what` names the backend in errors. With `downloads` the heads are copied into `host_heads`, else there are none on
    the host and they stay in `device_heads`. Use inside `cuda.current()`, but for `synchronize`.
    """

    def __init__(
        self,
        what: str,
        cuda: Cuda,
        inputs: Sequence[FixedTensor],
        heads: Sequence[FixedTensor],
        *,
        downloads: bool = True,
    ) -> None:
        self.cuda, self.uploads = cuda, True
        self._what, self._downloads = what, downloads
        self._mapped = cuda.device.integrated and cuda.device.can_map_host_memory
        self._owned: list[Any] = []
        self._started, self._waiting, self._times = False, False, _NO_TIMES
        self.inputs: dict[str, DeviceArray] = {}
        self.device_heads: dict[str, DeviceArray] = {}
        self.host_inputs: dict[str, Array] = {}
        self.host_heads: dict[str, Array] = {}
        try:
            self.stream = self.own(cuda.stream())
            self._marks = [self.own(cuda.event()) for _ in range(4)]
            for spec in inputs:
                self.inputs[spec.name], view = self._buffer(spec, on_host=True)
                if view is not None:
                    self.host_inputs[spec.name] = view
            for spec in heads:
                self.device_heads[spec.name], view = self._buffer(spec, on_host=self._downloads)
                if view is not None:
                    self.host_heads[spec.name] = view
        except BaseException:
            self.close()
            raise

    def scratch(self, spec: FixedTensor) -> int:
        """Return the address of GPU memory for an output that nobody reads."""
        return int(self.own(self.cuda.alloc(nbytes_of(spec))).address)

    def own(self, thing: Any) -> Any:
        """Return `thing`, which is freed with the queue, before what it had until now."""
        self._owned.append(thing)
        return thing

    def start(self, compute: Callable[[], None]) -> None:
        """Put the upload, what `compute` puts into `stream`, and the heads' download there; return at once."""
        begin, uploaded, computed, end = self._marks
        self._started, self._waiting = False, True
        begin.record(self.stream)
        if self.uploads and not self._mapped:
            for name, view in self.host_inputs.items():
                self.cuda.upload(self.inputs[name].address, view, self.stream)
        uploaded.record(self.stream)
        compute()
        computed.record(self.stream)
        if self._downloads:
            if not self._mapped:
                for name, view in self.host_heads.items():
                    self.cuda.download(view, self.device_heads[name].address, self.stream)
            end.record(self.stream)
        self._started = True

    def synchronize(self) -> GpuTimes:
        """See `GpuQueue`."""
        if self._downloads and not self._waiting:
            return self._times
        self._waiting = False
        begin, uploaded, computed, end = self._marks
        with self.cuda.current(), explained(self._what):
            if not self._started:  # what `start` managed to put there before it failed
                self.stream.synchronize()
                return _NO_TIMES
            if not self._downloads:
                end.record(self.stream)
            end.synchronize()
            upload, inference, after = (
                later.ms_since(earlier) for earlier, later in ((begin, uploaded), (uploaded, computed), (computed, end))
            )
        download, decode = (after, 0.0) if self._downloads else (0.0, after)
        self._times = GpuTimes(upload, inference, download, decode)
        return self._times

    def times(self) -> GpuTimes:
        """See `GpuQueue`."""
        return self.synchronize() if self._waiting else self._times

    def close(self) -> None:
        """Wait for the stream and free everything; what a lost device does not take back is left to the process."""
        if self._waiting:
            with suppress(CudaError):
                self.stream.synchronize()
        self._started = self._waiting = False
        self.inputs, self.device_heads, self.host_inputs, self.host_heads = {}, {}, {}, {}
        while self._owned:
            thing = self._owned.pop()
            try:
                thing.free()
            except CudaError:
                continue

    def _buffer(self, spec: FixedTensor, *, on_host: bool) -> tuple[DeviceArray, Array | None]:
        """Return memory for `spec` on the GPU, and the host's view or copy of it where it has one."""
        dtype, size = np.dtype(spec.dtype), nbytes_of(spec)
        host = None
        if self._mapped and on_host:
            host = self.own(self.cuda.alloc_mapped(size))
            address = host.address
        else:
            host = self.own(self.cuda.alloc_pinned(size)) if on_host else None
            address = self.own(self.cuda.alloc(size)).address
        view = None if host is None else host.array[:size].view(dtype).reshape(spec.lengths)
        return DeviceArray(address, dtype, spec.lengths, self), view


def nbytes_of(spec: FixedTensor) -> int:
    """Return the bytes of a tensor of fixed shape."""
    return int(np.prod(spec.lengths, dtype=np.int64)) * np.dtype(spec.dtype).itemsize
