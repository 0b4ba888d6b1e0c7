"""The buffers, copies and marks of one slot, whatever executes the network: shared by TensorRT and ONNX Runtime.

Copies and computation of a slot are in one stream, so they follow each other; two slots overlap. On GPUs that share
the host's memory (Jetson) the network reads and writes the host's buffers and nothing is copied.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.cuda_errors import CudaError, explained
from segrt.runtime.inference.cuda.device_array import DeviceArray, GpuQueue, GpuTimes
from segrt.runtime.inference.cuda.interface import Cuda, Event

Array = npt.NDArray[Any]
_NO_TIMES = GpuTimes(0.0, 0.0)


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


class _Marks(NamedTuple):
    """The marks of a frame, in order."""

    begin: Event
    uploaded: Event
    computed: Event
    decoded: Event
    end: Event


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
        self._started, self._waiting, self._prepared, self._decoded = False, False, False, False
        self._times: GpuTimes | None = _NO_TIMES
        self._pictures = 0
        self.inputs: dict[str, DeviceArray] = {}
        self.device_heads: dict[str, DeviceArray] = {}
        self.host_inputs: dict[str, Array] = {}
        self.host_heads: dict[str, Array] = {}
        try:
            self.stream = self.own(cuda.stream())
            self._marks = _Marks(*(self.own(cuda.event()) for _ in range(5)))
            self._picture_marks = [self.own(cuda.event()) for _ in range(2)]
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

    def picture_begins(self) -> None:
        """See `GpuQueue`; of a batch, that of the first picture counts."""
        if not self._pictures:
            self._picture_marks[0].record(self.stream)
        self._pictures += 1

    def picture_uploaded(self) -> None:
        """See `GpuQueue`; of a batch, that of the last picture counts."""
        self._picture_marks[1].record(self.stream)

    def start(self, compute: Callable[[], None]) -> None:
        """Put the upload, what `compute` puts into `stream`, and the heads' download there; return at once."""
        marks = self._marks
        self._started, self._waiting, self._decoded, self._times = False, True, False, _NO_TIMES
        self._prepared, self._pictures = self._pictures > 0, 0
        marks.begin.record(self.stream)
        if self.uploads and not self._mapped:
            for name, view in self.host_inputs.items():
                self.cuda.upload(self.inputs[name].address, view, self.stream)
        marks.uploaded.record(self.stream)
        compute()
        marks.computed.record(self.stream)
        if self._downloads:
            if not self._mapped:
                for name, view in self.host_heads.items():
                    self.cuda.download(view, self.device_heads[name].address, self.stream)
            marks.end.record(self.stream)
        self._started = True

    def decoded(self) -> None:
        """See `GpuQueue`."""
        self._marks.decoded.record(self.stream)
        self._decoded = self._waiting = True

    def synchronize(self) -> None:
        """See `GpuQueue`."""
        with self.cuda.current(), explained(self._what):
            if not self._waiting or not self._started:  # or what `start` managed to put there before it failed
                self.stream.synchronize()
                self._waiting = False
                return
            if not self._downloads:
                self._marks.end.record(self.stream)
            self._marks.end.synchronize()
            self._waiting, self._times = False, None

    def times(self) -> GpuTimes:
        """See `GpuQueue`."""
        if self._waiting:
            self.synchronize()
        if self._times is None:
            with self.cuda.current(), explained(self._what):
                self._times = self._taken()
        return self._times

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

    def _taken(self) -> GpuTimes:
        """Return the times between the marks of a frame that is done."""
        marks = self._marks
        upload, inference = marks.uploaded.ms_since(marks.begin), marks.computed.ms_since(marks.uploaded)
        decode, download = 0.0, 0.0
        if self._decoded:
            decode, download = marks.decoded.ms_since(marks.computed), marks.end.ms_since(marks.decoded)
        elif self._downloads:
            download = marks.end.ms_since(marks.computed)
        else:
            decode = marks.end.ms_since(marks.computed)
        preprocess, first = 0.0, marks.begin
        if self._prepared:
            first, prepared = self._picture_marks
            upload, preprocess = upload + prepared.ms_since(first), marks.begin.ms_since(prepared)
        epoch = self.epoch
        span = (first.ms_since(epoch), marks.end.ms_since(epoch)) if epoch is not None else (0.0, 0.0)
        return GpuTimes(upload, inference, download, decode, preprocess, *span)

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
