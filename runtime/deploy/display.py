"""How a rollout looks: a row for each device in a terminal, a line for each step elsewhere."""

import sys
import threading
from collections.abc import Sequence
from types import TracebackType

import click

from segrt.runtime.console.printable import printable
from segrt.runtime.console.progress import Bars
from segrt.runtime.deploy.host import Outcome

_MARKS = {
    "done": "done",
    "unchanged": "unchanged",
    "planned": "would",
    "failed": "FAILED",
    "unreachable": "UNREACHABLE",
}


class LineDisplay:
    """Writes a line on standard error whenever a device begins something else."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._last: dict[str, str] = dict.fromkeys(devices, "")
        self._lock = threading.Lock()

    def show(self, device: str, text: str, share: float | None) -> None:  # noqa: ARG002 (a line says no share)
        """Write what a device does now."""
        with self._lock:
            if self._last[device] != text:
                self._last[device] = text
                click.echo(printable(f"{device}: {text}"), err=True)

    def end(self, outcome: Outcome) -> None:
        """Show how it ended on a device."""
        self.show(outcome.device, _MARKS[outcome.state], None)

    def __enter__(self) -> "LineDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class RowDisplay:
    """Keeps a row for each device up to date in the terminal."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._bars = Bars("name", "note", "bar", "elapsed", width=20)
        for device in devices:
            self._bars.add(device, note="waiting")

    def show(self, device: str, text: str, share: float | None) -> None:
        """Show what a device does now, and how much of it is done."""
        self._bars.show(device, share or 0.0, None if share is None else 1.0, note=printable(text))

    def end(self, outcome: Outcome) -> None:
        """Show how it ended on a device."""
        self.show(outcome.device, _MARKS[outcome.state], 1.0)
        self._bars.stop(outcome.device)

    def __enter__(self) -> "RowDisplay":
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)


def open_display(devices: Sequence[str]) -> LineDisplay | RowDisplay:
    """Return rows for a terminal, lines for a file or pipe."""
    return RowDisplay(devices) if sys.stderr.isatty() else LineDisplay(devices)


def outcome_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Return the rows of the last table: device, state, and what there is to say."""
    return [[outcome.device, _MARKS[outcome.state], "; ".join([outcome.line, *outcome.notes])] for outcome in outcomes]
