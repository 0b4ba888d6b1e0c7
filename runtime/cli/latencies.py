"""Latencies of results as cells of a table."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from segrt.runtime.console.words import milliseconds

if TYPE_CHECKING:
    from segrt.runtime.results import Timings

LATENCIES = ["preprocess", "inference", "postprocess", "total"]


def latency_cells(timings: "Iterable[Timings | None]") -> list[str]:
    """Return the medians of `LATENCIES`, "3.21 ms"; None, of results without timings, is left out."""
    known = [timing for timing in timings if timing is not None]
    return [milliseconds([getattr(timing, f"{stage}_ms") for timing in known]) for stage in LATENCIES]
