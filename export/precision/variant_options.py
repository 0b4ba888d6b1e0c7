"""How variants at other precisions are made, as `segrt export`, `segrt quantize` and `segrt tune` ask for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

Say = Callable[[str], None]
Progress = Callable[[list[Picture], str], Iterable[Picture]]
"""Wraps pictures, under a title, to show how many of them were seen."""
# The least mean agreement of a variant's final results with float32's.
LIMITS = {"fp16": 0.99, "int8": 0.95, "int8-cpu": 0.95}
# The least overlap of its classes with float32's, for semantic networks: where most of a picture is background, one may
# lose half of its mIoU and keep 95 % of its pixels.
CLASS_LIMITS = {"fp16": 0.9, "int8": 0.8, "int8-cpu": 0.8}


class Acceptance(Protocol):
    """Says by other means than agreement with float32 whether a variant is good enough."""

    def accepts(self, precision: str, model: "onnx.ModelProto") -> bool:
        """Whether a finished network is."""

    def shortfall(self, precision: str) -> str:
        """Return what the first one of a precision lacks, which has no layer kept in float32."""

    def remedy(self, precision: str) -> str:
        """Return the option by which that one would be good enough."""


@dataclass(frozen=True)
class VariantOptions:
    """How variants are made.

    calibration: pictures for int8.
    pictures: those that variants are compared with float32 on, uint8 BGR; without any some of the calibration pictures
        are held back for it.
    golden: the bundle's golden pictures, which the variant's own tolerance must allow for. golden_heads: the float32
        network's heads for them, where they are known, name → array with batch axis; large networks take long.
    keep: nodes or modules that stay in float32, as patterns ("*nms*", "head.boxes", "attention-scores"); each must fit
        something, unless they are a family's own for all of its networks and sizes (`keep_must_fit`).
    limits: the least mean agreement by precision, where it is not that of `LIMITS`; the classes need overlap no more
        then.
    search_steps, search_seconds: how long layers to keep are searched for; with 0 steps a variant that misses its limit
        is an error at once.
    trained: results of untrained networks say nothing, so theirs are measured and reported, but not asked to agree.
    progress: wraps the pictures that are calibrated with, to show how far it is.
    accept: asked instead of the limit whether a variant is good enough.
    """

    calibration: Sequence[Path] = ()
    pictures: Sequence[Picture] = ()
    golden: Sequence[Picture] = ()
    golden_heads: Sequence[Mapping[str, Array]] | None = None
    keep: Sequence[str] = ()
    keep_must_fit: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)
    search_steps: int = 200
    search_seconds: float = 300.0
    trained: bool = True
    threads: int = 0
    progress: Progress = lambda pictures, text: pictures  # noqa: ARG005
    accept: "Acceptance | None" = None
