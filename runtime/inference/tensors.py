"""Tensors as networks have them: what an input or head is called and holds, and the slot that carries a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime.inference.cuda.device_array import DeviceArray, GpuQueue

Array = npt.NDArray[Any]
Device = Literal["cpu", "cuda"]
WantedDevice = Literal["auto", "cpu"]
State = Literal["free", "acquired", "submitted", "done"]
DType = Literal["uint8", "int8", "int32", "int64", "float16", "float32", "bool"]
Name = Annotated[str, msgspec.Meta(min_length=1)]
Dim = Annotated[int, msgspec.Meta(ge=0)] | Annotated[str, msgspec.Meta(min_length=1)]


def prefixed(member: str, name: str) -> str:
    """Return what an input, head or role of a bundle's member is called in the bundle."""
    return f"{member}.{name}"


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of an input or head; a string in `shape` is a length that varies from run to run."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name!r} {self.dtype} {list(self.shape)}"

    @property
    def is_fixed(self) -> bool:
        """Whether every length is known."""
        return all(isinstance(dim, int) for dim in self.shape)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The shape of a tensor that `is_fixed`; raise ValueError for another."""
        if not self.is_fixed:
            raise ValueError(f"{self} has no fixed shape")
        return tuple(int(dim) for dim in self.shape)

    def fits(self, dtype: npt.DTypeLike, shape: Sequence[int]) -> bool:
        """Whether an array of `dtype` and `shape` is such a tensor."""
        return (
            np.dtype(self.dtype) == np.dtype(dtype)
            and len(shape) == len(self.shape)
            and all(isinstance(want, str) or want == got for want, got in zip(self.shape, shape, strict=True))
        )


@dataclass(frozen=True)
class Head:
    """One raw output, valid until its slot is released: a numpy array, or on "cuda" a `DeviceArray`."""

    name: str
    array: Any
    device: Device = "cpu"

    def on_host(self) -> Array:
        """Return a copy on the host, wherever it lies; on the GPU it waits for the work of its slot."""
        if isinstance(self.array, DeviceArray):
            return self.array.download()
        return np.array(self.array, copy=True)


def heads_by_name(on_host: Mapping[str, Array], on_gpu: Mapping[str, DeviceArray], device: Device) -> dict[str, Head]:
    """Return the heads on `device`, of those that are on the host and of those on the GPU."""
    arrays: Mapping[str, Any] = on_host if device == "cpu" else on_gpu
    return {name: Head(name, array, device) for name, array in arrays.items()}


@dataclass(eq=False)
class Slot:
    """The inputs of one batch, on their way through a backend.

    `inputs` are writable views, name → array with the batch first. `sources` belongs to the caller: what lies in each
    place of the batch; it is emptied on release. `inference_ms` is the time of execution alone,
    without waiting in a queue; `upload_ms` and `download_ms` are those of the copies to and from a GPU, 0 where
    nothing is copied; `decode_ms` is that of the kernels behind the network, `preprocess_ms` that of those before it.
    They are known after `wait`, or after `settle` where the heads stay on the GPU. `gpu` is the queue of the slot's
    work there, None without one.
    """

    index: int
    inputs: Mapping[str, Array]
    sources: list[str] = field(default_factory=list)
    inference_ms: float = 0.0
    upload_ms: float = 0.0
    download_ms: float = 0.0
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    state: State = "free"
    gpu: GpuQueue | None = None

    def settle(self) -> None:
        """Wait for the work in the slot's queue on the GPU and take its times; nothing to do where there is none."""
        if self.gpu is not None:
            self.gpu.synchronize()
            times = self.gpu.times()
            self.upload_ms, self.inference_ms = times.upload_ms, times.inference_ms
            self.download_ms, self.decode_ms = times.download_ms, times.decode_ms
            self.preprocess_ms = times.preprocess_ms

    def decoding_ms(self, wall_ms: float) -> float:
        """Return the part of `wall_ms`, spent from `wait`'s return to a result, that is not the network's.

        Heads that stay on the GPU are handed over before the network has run, so that the decoder waits for it.
        """
        if self.gpu is None or self.decode_ms == 0.0:
            return wall_ms
        return max(self.decode_ms + self.download_ms, wall_ms - self.upload_ms - self.preprocess_ms - self.inference_ms)
