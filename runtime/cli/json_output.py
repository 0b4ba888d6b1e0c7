"""--json, the same everywhere: FILE gets everything as JSON beside what is printed; "-" is standard output instead."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
STANDARD_OUTPUT = Path("-")


class JsonCommand(click.Command):
    """A command whose `--json` may stand alone: it means "-" unless a FILE that ends in .json follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a lonely --json its "-"."""
        words: list[str] = []
        for word, following in zip(args, [*args[1:], ""], strict=False):
            words.append(word)
            if word == "--json" and following != "-" and not following.lower().endswith(".json"):
                words.append("-")
        return super().parse_args(ctx, words)


def json_option(what: str) -> Callable[[_Command], _Command]:
    """Return --json for a `JsonCommand`; `what` says what is written."""
    return click.option(
        "--json",
        "json_path",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        metavar="[FILE.json]",
        help=f"Write {what} as JSON; without FILE to standard output, and nothing else.",
    )


def check_json(path: Path | None) -> None:
    """Raise SegrtError for a file that cannot be written."""
    from segrt.runtime.files.atomic import prepare_file

    if path is not None and path != STANDARD_OUTPUT:
        prepare_file(path, "--json")


def write_json_text(path: Path, text: str) -> None:
    """Write a JSON text, whose characters for terminals are escaped, to the file or standard output."""
    from segrt.runtime.console.printable import printable_json
    from segrt.runtime.files.atomic import make_folder, write_atomic

    if path == STANDARD_OUTPUT:
        click.echo(printable_json(text))
    else:
        make_folder(path.absolute().parent)
        write_atomic(path, text.encode() + b"\n")


@contextmanager
def tables_beside(path: Path | None) -> Iterator[None]:
    """Print what the block prints on standard error where JSON goes to standard output."""
    if path != STANDARD_OUTPUT:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield
