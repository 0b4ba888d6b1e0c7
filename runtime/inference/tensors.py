"""Tensors as networks have them: what an input or head is called and holds, and the slot that carries a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Device = Literal["cpu", "cuda"]
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
    """One raw output, valid until its slot is released: a numpy array, or on `cuda` an object that speaks DLPack."""

    name: str
    array: Any
    device: Device = "cpu"


@dataclass(eq=False)
class Slot:
    """The inputs of one batch, on their way through a backend.

    `inputs` are writable views, name → array with the batch first. `sources` belongs to the caller: what lies in each
    place of the batch; it is emptied on release. `inference_ms` is the time of execution alone,
    without waiting in a queue, after `wait`; `upload_ms` and `download_ms` are those of the copies to and from a GPU,
    0 where nothing is copied.
    """

    index: int
    inputs: Mapping[str, Array]
    sources: list[str] = field(default_factory=list)
    inference_ms: float = 0.0
    upload_ms: float = 0.0
    download_ms: float = 0.0
    state: State = "free"
