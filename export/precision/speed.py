"""How long a variant takes beside float32 in ONNX Runtime on this CPU, where a lower precision may be slower."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segrt.export.precision.indexed_graph import open_session
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

# Multiply-adds of one picture: a CPU takes seconds for it, and nobody runs it there.
LARGEST_TIMED = 100_000_000_000
_MOST_ROUNDS = 15
_SECONDS = 3.0
_MEANT_FOR = {
    "fp16": "it is meant for GPUs",
    "int8": "it is meant for TensorRT; int8-cpu is what ONNX Runtime runs fastest",
}


@dataclass(frozen=True)
class Speed:
    """The shortest time of a picture in ms, the variant's and float32's, taken in turns."""

    ms: float
    fp32_ms: float

    def line(self, precision: str) -> str:
        """Return what to tell the user."""
        said = f"{precision}: {self.ms:.3g} ms a picture in ONNX Runtime on this CPU, fp32 {self.fp32_ms:.3g} ms"
        if self.ms <= self.fp32_ms:
            return said
        advice = _MEANT_FOR.get(precision, "measure it on the device with `segrt profile` before you use it")
        return f"{said}: slower than fp32 here; {advice}"


def line_of(speed: Speed | None, precision: str) -> str:
    """Return what to tell the user of a variant that was timed, or was too large for it."""
    if speed is None:
        return f"{precision}: not timed here, where a picture takes seconds; `segrt profile` times it on the device"
    return speed.line(precision)


def measure_speed(
    reference: "onnx.ModelProto", variant: "onnx.ModelProto", feed: Mapping[str, Array], *, threads: int = 0
) -> Speed:
    """Run both networks on `feed` (input's name → array) in turns for some seconds, once at least."""
    sessions = [open_session(model, threads=threads, arena=True) for model in (variant, reference)]
    end = time.monotonic() + _SECONDS
    rounds: list[tuple[float, ...]] = []
    while len(rounds) <= _MOST_ROUNDS and (not rounds or time.monotonic() < end):
        rounds.append(tuple(_run_ms(session, feed) for session in sessions))
    # The first round warms up; where it takes all the time, it weighs little in that.
    return Speed(*(min(times) for times in zip(*(rounds[1:] or rounds), strict=True)))


def _run_ms(session: Any, feed: Mapping[str, Array]) -> float:
    begin = time.perf_counter()
    session.run(None, dict(feed))
    return 1000 * (time.perf_counter() - begin)
