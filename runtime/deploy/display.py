"""How a rollout looks: a row for each device in a terminal, a line for each step elsewhere."""

import sys
import threading
from collections.abc import Sequence
from types import TracebackType

import click

from segrt.runtime.console.progress import Bars
from segrt.runtime.deploy.host import Outcome

_MARKS = {
    "done": "done",
    "unchanged": "unchanged",
    "planned": "would",
    "failed": "FAILED",
    "unreachable": "UNREACHABLE",
}


class Lines:
    """Writes a line on standard error whenever a device begins something else."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._last: dict[str, str] = dict.fromkeys(devices, "")
        self._lock = threading.Lock()

    def say(self, device: str, text: str, share: float | None) -> None:  # noqa: ARG002 (a line says no share)
        """Take what a device does now."""
        with self._lock:
            if self._last[device] != text:
                self._last[device] = text
                click.echo(f"{device}: {text}", err=True)

    def end(self, outcome: Outcome) -> None:
        """Take how it ended on a device."""
        self.say(outcome.device, _MARKS[outcome.state], None)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Rows:
    """Keeps a row for each device up to date in the terminal."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._bars = Bars("name", "note", "bar", "elapsed", width=20)
        for device in devices:
            self._bars.add(device, note="waiting")

    def say(self, device: str, text: str, share: float | None) -> None:
        """Take what a device does now, and how much of it is done."""
        self._bars.show(device, share or 0.0, None if share is None else 1.0, note=text)

    def end(self, outcome: Outcome) -> None:
        """Take how it ended on a device."""
        self.say(outcome.device, _MARKS[outcome.state], 1.0)
        self._bars.stop(outcome.device)

    def __enter__(self) -> "Rows":
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)


def watcher(devices: Sequence[str]) -> Lines | Rows:
    """Return what shows the progress where we are."""
    return Rows(devices) if sys.stderr.isatty() else Lines(devices)


def outcome_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Return the rows of the last table."""
    return [[one.device, _MARKS[one.state], "; ".join([one.line, *one.notes])] for one in outcomes]
