"""Progress bars on standard error, where that is a terminal."""

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task, TaskID

Column = Literal["name", "note", "bar", "count", "bytes", "speed", "rate", "elapsed", "left"]
_WORTH_A_BAR = 3
_Item = TypeVar("_Item")


def with_progress(items: list[_Item], text: str) -> Iterable[_Item]:
    """Return `items` to iterate over, with a progress bar where there are several and a terminal shows it."""
    if len(items) < _WORTH_A_BAR or not sys.stderr.isatty():
        return items
    return _counted_by_bar(items, text)


def _counted_by_bar(items: list[_Item], text: str) -> Iterable[_Item]:
    with Bars("name", "bar", "count", "left", keep=True) as bars:
        bars.show(text, 0, len(items))
        for number, item in enumerate(items, 1):
            yield item
            bars.show(text, number, len(items))


class Bars:
    """Progress bars, one a name, below each other for the length of a `with` block.

    Each is a line of `columns`: its name; a note beside it; the bar; the count of steps, or of bytes with their speed;
    the rate in frames a second; the time that went by, or that is left. Where standard error is no terminal nothing is
    shown (`shown` is false), and the calls cost nothing. `width` is the bar's, in characters; with `keep` the bars stay
    when the work is done. `show` may be called from any thread.
    """

    def __init__(self, *columns: Column, keep: bool = False, width: int = 40, console: "Console | None" = None) -> None:
        self.shown = sys.stderr.isatty() if console is None else console.is_terminal
        self._progress: Progress | None = _open(columns, keep, width, console) if self.shown else None
        self._bars: dict[str, TaskID] = {}

    def add(self, name: str, *, note: str = "") -> None:
        """Show a bar that waits: its time begins with the first `show`."""
        if self._progress is not None:
            self._bars[name] = self._progress.add_task(name, total=None, start=False, note=note)

    def show(self, name: str, done: float, total: float | None, *, note: str = "") -> None:
        """Show that `done` of `total` steps (None: nobody knows how many) of `name` are done; a new name adds a bar."""
        if self._progress is None:
            return
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=total, completed=int(done), note=note)
        bar = self._bars[name]
        if not self._progress.tasks[bar].started:
            self._progress.start_task(bar)
        self._progress.update(bar, completed=done, total=total, note=note)

    def stop(self, name: str) -> None:
        """Stop the clock of a bar."""
        if self._progress is not None:
            self._progress.stop_task(self._bars[name])

    def __enter__(self) -> "Bars":
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def _open(columns: tuple[Column, ...], keep: bool, width: int, console: "Console | None") -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    kinds = _kinds(width)
    return Progress(*(kinds[name] for name in columns), console=console or Console(stderr=True), transient=not keep)


def _kinds(width: int) -> "dict[Column, ProgressColumn]":
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: "Task") -> Text:
            return Text(f"{task.speed or 0.0:.1f} fps")

    return {
        "name": TextColumn("{task.description}", markup=False),
        "note": TextColumn("{task.fields[note]}", markup=False),
        "bar": BarColumn(bar_width=width),
        "count": MofNCompleteColumn(),
        "bytes": DownloadColumn(),
        "speed": TransferSpeedColumn(),
        "rate": Rate(),
        "elapsed": TimeElapsedColumn(),
        "left": TimeRemainingColumn(),
    }
