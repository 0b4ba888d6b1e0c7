"""Outputs that would replace what is read, or each other: refused before anything is written."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from segrt.runtime.errors import SegrtError

Place = str | PathLike[str] | None


def tell_apart(names: Iterable[str]) -> list[str]:
    """Return the names, all different: "a", "a", "b" → "a", "a-2", "b"."""
    taken: dict[str, None] = {}
    for base in names:
        name, number = base, 2
        while name in taken:
            name, number = f"{base}-{number}", number + 1
        taken[name] = None
    return list(taken)


def refuse_same(what: str, path: Place, others: Mapping[str, Place]) -> None:
    """Raise SegrtError when the output `path`, given as `what`, is one of `others` (what it is → path).

    Links are followed; None is no place.
    """
    if path is None:
        return
    for name, other in others.items():
        if other is not None and Path(other).resolve() == Path(path).resolve():
            raise SegrtError(f"{what} {path}: is {name} itself; write to another place")
