"""Tables on standard output: no cell is ever cut. Where a table's columns find no room, its rows become blocks."""

import os
import sys
import textwrap
from typing import TYPE_CHECKING

from segrt.runtime.console.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDEST_NAME = 40
_WIDTH_IN_FILES = 140
_SHORT = 24  # a figure, a name: a cell up to here stays in one line; longer ones are text, which may be folded
_INDENT = "    "


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output, or a block for each row where it would be wider than `table_width`.

    Cells are taken literally. Long ones are folded between words, never cut, and short ones stay whole. Characters
    that steer a terminal are shown as escapes.
    """
    from rich.console import Console

    print_on(Console(highlight=False, width=table_width()), title, columns, rows)


def print_on(console: "Console", title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table or blocks on a console, as `print_table` does, for its width."""
    from rich.text import Text

    rows = [[printable(cell, keep="\n") for cell in row] for row in rows]
    # The title may name a long path, which stays in one piece.
    console.print(Text(printable(title), style="bold"), soft_wrap=True)
    table = _table(columns, rows)
    if _least_width(table, console) <= console.width:
        console.print(table)
        return
    for line in _blocks(columns, rows, console.width):
        console.print(Text(line), soft_wrap=True)
    console.print()


def table_width() -> int:
    """Return how many columns a table may take: COLUMNS, else the terminal's, or a fixed number in files."""
    from rich.console import Console

    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return Console().width if sys.stdout.isatty() else _WIDTH_IN_FILES


def _table(columns: list[str], rows: list[list[str]]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_header=any(columns))
    for number, column in enumerate(columns):
        cells = [column, *(line for row in rows for line in row[number : number + 1])]
        whole = number == 0 and max(map(_cells, cells)) <= _WIDEST_NAME
        table.add_column(
            column,
            overflow="fold",
            min_width=max(map(_cells if whole else _least, cells)),
            no_wrap=whole or all(_cells(cell) <= _SHORT for cell in cells),
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _least_width(table: "Table", console: "Console") -> int:
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(width=100_000), table).minimum


def _blocks(columns: list[str], rows: list[list[str]], width: int) -> list[str]:
    """Return each row as its first cell and a line for each further one, "column: cell"; empty cells are left out."""
    lines = []
    for row in rows:
        lines += ["", *textwrap.wrap(row[0], max(width, 1), break_long_words=False, break_on_hyphens=False)]
        for column, cell in zip(columns[1:], row[1:], strict=False):
            text = f"{column}: {cell}" if column else cell
            for part in text.split("\n") if cell.strip() else ():
                lines += textwrap.wrap(
                    part,
                    max(width, len(_INDENT) + 1),
                    initial_indent=_INDENT,
                    subsequent_indent=_INDENT + "  ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
    return lines


def _cells(text: str) -> int:
    """Return how many columns of a terminal the widest line of `text` takes."""
    from rich.cells import cell_len

    return max((cell_len(line) for line in text.split("\n")), default=0)


def _least(text: str) -> int:
    """Return how narrow a column with this cell may become: the cell if it is short, else its longest word."""
    width = _cells(text)
    return width if width <= _SHORT else max(_SHORT, *map(_cells, text.split()))
