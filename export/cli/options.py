"""Options that several commands of the exporter share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from segrt.runtime.console.quantities import THREADS

PATH = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def picture_size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:  # noqa: ARG001
    """Read a picture size, height first; a click callback."""
    if value is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value)
    if match is None:
        raise click.BadParameter(f"must be HEIGHTxWIDTH, 512x1024 for instance, but got {value!r}")
    return int(match[1]), int(match[2])


def search_steps_option(command: _Command) -> _Command:
    """Add --search-steps."""
    return click.option(
        "--search-steps",
        type=click.IntRange(0),
        default=200,
        show_default=True,
        help="Runs to find the layers that must stay in fp32 when a variant agrees too little with it.",
    )(command)


def threads_option(command: _Command) -> _Command:
    """Add --threads."""
    return click.option("--threads", type=THREADS, default=0, help="CPU threads; 0 means the default.")(command)


def overwrite_option(command: _Command) -> _Command:
    """Add --overwrite."""
    return click.option("--overwrite", is_flag=True, help="Replace a bundle that is already there.")(command)
