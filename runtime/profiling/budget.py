"""Which candidates meet a time budget, and what is lost in accuracy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from segrt.runtime.errors import SegrtError
from segrt.runtime.profiling.records import Run

_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*ms(?:@(mean|p50|p90|p95|p99))?")


@dataclass(frozen=True)
class Budget:
    """At most `limit_ms` for the `figure` ("p99", "mean") of a frame's total."""

    limit_ms: float
    figure: str = "p99"

    def of(self, run: Run) -> float:
        """Return the run's figure in milliseconds."""
        return float(getattr(run.stages["total"], f"{self.figure}_ms"))

    def is_met(self, run: Run) -> bool:
        """Whether the run is within the budget."""
        return self.of(run) <= self.limit_ms

    def __str__(self) -> str:
        return f"{self.limit_ms:g} ms at {self.figure}"


def parse_budget(text: str) -> Budget:
    """Read "33ms@p99"; without a figure p99 is meant. Raises SegrtError for anything else."""
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise SegrtError(f"--budget {text!r}: must be milliseconds and a figure, 33ms@p99 or 20ms@mean for instance")
    return Budget(float(match[1]), match[2] or "p99")


def lost_accuracy(run: Run, runs: Sequence[Run]) -> float | None:
    """Return by how much the run's accuracy is below the best of its technique; None where it was not measured."""
    if run.accuracy is None:
        return None
    best = max(
        other.accuracy.value for other in runs if other.accuracy is not None and other.technique == run.technique
    )
    return best - run.accuracy.value


def pareto_front(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that no other of their technique beats in both accuracy and median latency."""
    known = [run for run in runs if run.accuracy is not None]
    return [run for run in known if not any(_beats(other, run) for other in known if other.technique == run.technique)]


def _beats(one: Run, other: Run) -> bool:
    assert one.accuracy is not None
    assert other.accuracy is not None
    faster, slower = one.stages["total"].p50_ms, other.stages["total"].p50_ms
    no_worse = faster <= slower and one.accuracy.value >= other.accuracy.value
    return no_worse and (faster < slower or one.accuracy.value > other.accuracy.value)
