"""Outputs that would replace what is read, or each other: refused before anything is written."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from segrt.runtime.errors import SegrtError

Place = str | PathLike[str] | None


def refuse_same(what: str, path: Place, others: Mapping[str, Place]) -> None:
    """Raise SegrtError when the output `path`, given as `what`, is one of `others` (what it is → path).

    Links are followed; None is no place.
    """
    if path is None:
        return
    for name, other in others.items():
        if other is not None and Path(other).resolve() == Path(path).resolve():
            raise SegrtError(f"{what} {path}: is {name} itself; write to another place")
