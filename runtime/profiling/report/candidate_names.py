"""Short names of candidates, for tables and charts."""

from collections.abc import Sequence

from segrt.runtime.profiling.records import Run


def run_names(runs: Sequence[Run]) -> list[str]:
    """Return a short name for each run: the bundle's, and whatever else tells them apart."""
    parts = {
        "precision": [run.precision for run in runs],
        "backend": [run.backend for run in runs],
        "threads": [_threads(run.threads) for run in runs],
        "size": [f"{run.size[0]}×{run.size[1]}" for run in runs],
    }
    telling = [values for values in parts.values() if len(set(values)) > 1]
    return [" ".join([run.bundle, *(values[number] for values in telling)]) for number, run in enumerate(runs)]


def _threads(count: int) -> str:
    return {0: "default threads", 1: "1 thread"}.get(count, f"{count} threads")
