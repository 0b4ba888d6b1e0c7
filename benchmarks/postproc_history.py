"""The medians of each run of `make bench`, a row a run in history.jsonl, and what moved since the machine's last."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

HISTORY = Path(__file__).with_name("history.jsonl")
# Medians of one machine differ by less from run to run while nothing changes and little else runs.
NOISE_SHARE, NOISE_MS = 0.1, 0.05


@dataclass(frozen=True)
class Run:
    """Milliseconds of process CPU time on one thread, by function, detail and size."""

    machine: str
    commit: str  # with "+" where the tree differs from it
    date: str  # ISO 8601, UTC
    medians: dict[str, float]


@dataclass(frozen=True)
class Move:
    """A median that differs by more than noise."""

    name: str
    before: float
    now: float

    def line(self) -> str:
        """One line for a person to read."""
        word = "slower" if self.now > self.before else "faster"
        return (
            f"{self.name}: {self.before:.2f} ms before, {self.now:.2f} ms now, {self.now / self.before:.2f}x ({word})"
        )


def machine_name(processor: str, kernels: str) -> str:
    """What figures depend on: the processor's name, how many there are, and the kernels that ran."""
    return f"{processor}, {os.cpu_count()} processors, {kernels}"


def current_commit(root: Path) -> str:
    """The commit that is checked out; "unknown" without git."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.decode().strip() + ("+" if changed.stdout.strip() else "")


def this_run(machine: str, medians: Mapping[str, float]) -> Run:
    """A run of this commit, now."""
    rounded = {name: round(value, 4) for name, value in medians.items()}
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Run(machine, current_commit(Path(__file__).parent), now, rounded)


def last_run(path: Path, machine: str) -> Run | None:
    """The latest run of this machine, None where there is none."""
    if not path.exists():
        return None
    runs = [Run(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]
    own = [run for run in runs if run.machine == machine]
    return own[-1] if own else None


def append(path: Path, run: Run) -> None:
    """Add the run as one line."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(run)) + "\n")


def moved(before: Run, now: Run) -> list[Move]:
    """What both runs measured and differs beyond noise, the largest factor first."""
    moves = [
        Move(name, before.medians[name], value)
        for name, value in now.medians.items()
        if name in before.medians
        and abs(value - before.medians[name]) > max(NOISE_MS, NOISE_SHARE * before.medians[name])
    ]
    return sorted(moves, key=lambda move: -max(move.now / move.before, move.before / max(move.now, 1e-9)))


def report(path: Path, run: Run) -> str:
    """Compare with the machine's last run, then keep this one. Returns lines to print."""
    before = last_run(path, run.machine)
    append(path, run)
    if before is None:
        return f"first run of this machine in {path.name}: nothing to compare with"
    moves = moved(before, run)
    since = f"since {before.date} ({before.commit})"
    if not moves:
        return f"nothing moved beyond noise {since}"
    return "\n".join([f"moved beyond noise {since}:", *(f"  {move.line()}" for move in moves)])
