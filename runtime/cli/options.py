"""Options that several commands share, and how their tables look."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from segrt.runtime.console.quantities import SHARE
from segrt.runtime.threads import MOST_THREADS

THREADS = click.IntRange(0, MOST_THREADS)
_WIDEST_NAME = 40
_WIDTH_IN_FILES = 140
_WORTH_A_BAR = 3
_Item = TypeVar("_Item")
_Command = TypeVar("_Command", bound=Callable[..., Any])


def backend_options(command: _Command) -> _Command:
    """Add --backend, --precision and --threads, and the three that say how engines are taken.

    Those three are no arguments of the command: they change the engine policy for as long as it runs.
    """
    for option in (
        engine_option("--trust-engine", "trust", "Run engines that were not built on this device; they are code."),
        engine_option("--no-build", "build", "Fail rather than build an engine that does not fit.", value=False),
        engine_dir_option,
        click.option("--threads", type=THREADS, default=0, help="CPU threads; 0 means the default."),
        click.option("--precision", metavar="NAME", help="Variant to use, fp32 for instance; the first by default."),
        click.option(
            "--backend",
            metavar="NAME",
            default="auto",
            show_default=True,
            help="What executes it: auto, tensorrt, onnxruntime.",
        ),
    ):
        command = option(command)
    return command


def engine_dir_option(command: _Command) -> _Command:
    """Add --engine-dir, which changes the engine policy."""
    return click.option(
        "--engine-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        expose_value=False,
        callback=_policy_changer("engine_dir"),
        help="Where TensorRT's engines lie; segrt's cache by default.",
    )(command)


def engine_option(name: str, field: str, text: str, *, value: bool = True) -> Callable[[_Command], _Command]:
    """Return an option without an argument that sets `field` of the engine policy to `value`."""
    changer = _policy_changer(field)

    def set_value(context: click.Context, parameter: click.Parameter, given: bool) -> None:
        changer(context, parameter, value if given else None)

    return click.option(name, is_flag=True, expose_value=False, callback=set_value, help=text)


def _policy_changer(field: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def change(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ARG001 (click's)
        if value is not None and not context.resilient_parsing:
            from segrt.runtime.inference.engine_policy import change_policy

            context.call_on_close(change_policy(**{field: value}))

    return change


def threshold_options(command: _Command) -> _Command:
    """Add --score-threshold and --overlap-threshold, which replace the bundle's own."""
    for name in ("overlap", "score"):
        command = click.option(f"--{name}-threshold", type=SHARE, help=f"Replace the bundle's {name} threshold.")(
            command
        )
    return command


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output; cells are taken literally. Long cells are folded, never cut.

    The first column is what the others make room for.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_header=any(columns))
    longest = max((len(row[0]) for row in rows), default=0)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", min_width=min(longest, _WIDEST_NAME) if number == 0 else None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False, width=table_width())
    console.print(Text(title, style="bold"), soft_wrap=True)  # it may name a long path, which stays in one piece
    console.print(table)


def table_width() -> int:
    """Return how many columns a table may take: the terminal's, or a fixed number in files."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else _WIDTH_IN_FILES


def with_progress(items: list[_Item], text: str) -> Iterable[_Item]:
    """Return `items` to iterate over, with a progress bar on standard error where that is a terminal."""
    if len(items) < _WORTH_A_BAR or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, text, console=Console(stderr=True))


def counted(count: int, noun: str) -> str:
    """Return "1 picture", "2 pictures"."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def milliseconds(values: list[float]) -> str:
    """Return the median of `values` as text, "3.21 ms"."""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.2f} ms" if ordered else "-"
