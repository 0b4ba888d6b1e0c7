"""Tables on standard output."""

import sys

from segrt.runtime.console.printable import printable

_WIDEST_NAME = 40
_WIDTH_IN_FILES = 140


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output; cells are taken literally. Long cells are folded, never cut.

    The first column is what the others make room for. Characters that steer a terminal are shown as escapes.
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
        table.add_row(*(Text(printable(cell, keep="\n")) for cell in row))
    console = Console(highlight=False, width=table_width())
    console.print(
        Text(printable(title), style="bold"), soft_wrap=True
    )  # it may name a long path, which stays in one piece
    console.print(table)


def table_width() -> int:
    """Return how many columns a table may take: the terminal's, or a fixed number in files."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else _WIDTH_IN_FILES
